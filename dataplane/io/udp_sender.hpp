// The sending half of UdpPort: turns slots into as few system calls as the kernel allows and deals
// with everything it may answer. Worker thread.
//
//   slots ──plan──► messages (one destination, class and segment size each; up to 64 segments)
//                      │ sendmmsg
//                      ├─ taken ─► counted
//                      ├─ segmented send refused ─► remembered; planned again, one by one
//                      ├─ source address refused ─► remembered; sent again without it
//                      ├─ queue full ─► waits up to 1 ms, then drops what is left
//                      └─ anything else (too long, firewall, no route) ─► that message is dropped
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <sys/socket.h>
#include <sys/uio.h>

#include "base/counters.hpp"
#include "dataplane/io/udp_message.hpp"
#include "dataplane/packet.hpp"

namespace ringway::io {

class UdpSender {
 public:
  struct Totals {
    std::uint64_t datagrams = 0;  // sent
    std::uint64_t bytes = 0;      // of them
    std::uint64_t dropped = 0;    // datagrams
  };

  // segmentation: use UDP_SEGMENT. refusals: counts segmented sends that the kernel refused.
  UdpSender(int fd, bool dual_stack, bool segmentation, Counter& refusals);

  // Sends in order. The slots stay the caller's.
  [[nodiscard]] Totals send(std::span<const Slot> slots);

 private:
  // Messages and pieces of one sendmmsg. More than a worker's burst needs, but for refused trains.
  static constexpr std::size_t kMaxMessages = 64;
  static constexpr std::size_t kMaxPieces = 256;
  // A refusal is believed for so many sends to that destination.
  static constexpr std::uint32_t kSendsUntilProbe = 1024;

  // The next byte to plan.
  struct Cursor {
    std::size_t slot = 0;
    std::uint32_t offset = 0;
  };
  struct Message {
    Cursor start;
    const Slot* slot = nullptr;  // the first: destination, class, source
    std::uint32_t bytes = 0;
    std::uint32_t segments = 0;
    std::uint32_t segment_bytes = 0;
    std::uint32_t max_segments = 1;
    bool full = false;  // ends with a short segment, or at a limit
    bool use_source = true;
    bool source_dropped = false;  // refused with the source that the slot asked for
    bool retried = false;
  };
  struct SegmentationRefusal {
    net::IpAddress remote;
    std::uint32_t segment_bytes = 0;  // this long or longer is refused
    std::uint32_t sends_left = 0;     // 0: not in use
  };
  struct SourceRefusal {
    net::IpAddress local;
    net::IpAddress remote;
    std::uint32_t sends_left = 0;
  };
  enum class Recovery { kRetry, kDrop, kPlanAgain, kStop };

  // Fills messages_ from `cursor` on and moves it past what was planned.
  void plan(std::span<const Slot> slots, Cursor& cursor, Totals& totals);
  [[nodiscard]] bool begin_message(std::span<const Slot> slots, Cursor cursor);
  void take_pieces(std::span<const Slot> slots, Cursor& cursor, Message& message);
  [[nodiscard]] bool take_piece(const Slot& slot, Cursor& cursor, Message& message);
  void finish_message(std::size_t index);
  void write_control(std::size_t index);

  // Sends messages_; where some must be planned again, moves `cursor` back to the first of them.
  void flush(std::span<const Slot> slots, Cursor& cursor, Totals& totals);
  void count_sent(const Message& message, Totals& totals);
  [[nodiscard]] Recovery recover(std::size_t index, int error);
  // Drops messages_ from `first` on, and what was not planned yet.
  void drop_rest(std::size_t first, std::span<const Slot> slots, Cursor& cursor, Totals& totals);
  [[nodiscard]] bool wait_writable() const;

  [[nodiscard]] std::uint32_t max_segments_to(const net::IpAddress& remote,
                                              std::uint32_t segment_bytes);
  void remember_refused_segmentation(const net::IpAddress& remote, std::uint32_t segment_bytes);
  [[nodiscard]] bool may_use_source(const Slot& slot);

  const int fd_;
  const bool dual_stack_;
  const bool segmentation_;
  Counter& refusals_;

  std::size_t message_count_ = 0;
  std::size_t piece_count_ = 0;
  std::array<Message, kMaxMessages> messages_{};
  std::array<mmsghdr, kMaxMessages> headers_{};
  std::array<UdpSocketAddress, kMaxMessages> addresses_{};
  std::array<UdpControl, kMaxMessages> controls_{};
  std::array<iovec, kMaxPieces> pieces_{};

  std::array<SegmentationRefusal, 16> segmentation_refusals_{};
  std::size_t next_refusal_ = 0;
  bool any_refusal_ = false;
  SourceRefusal source_refusal_{};
};

}  // namespace ringway::io
