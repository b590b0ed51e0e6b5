// Plaintext on its way out: segments are framed behind each other into trains of one peer, sealed
// in one batch, and handed to the outer port. Used by the stages of to_tunnel and for keepalives
// and control frames.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

class Outbound {
 public:
  explicit Outbound(WorkerState& worker);
  // What was framed has been flushed.
  ~Outbound();
  Outbound(const Outbound&) = delete;
  Outbound& operator=(const Outbound&) = delete;

  // Room for a plaintext of `text_bytes` in a data message of `session`, with header and padding in
  // place: the caller writes the plaintext to the returned address before the next call. Null when
  // there is no buffer (counted) or the message would not fit a datagram (counted).
  // `path`: where the message goes; `ecn`: the inner packet's two ECN bits.
  [[nodiscard]] std::uint8_t* frame(const tunnel::Session& session, const tunnel::Path& path,
                                    std::uint64_t counter, std::uint32_t text_bytes,
                                    std::uint8_t ecn);

  // Whether the packet of a slot may be sealed where it lies: it leaves by itself, nobody else
  // refers to its buffer, its checksum is complete, and there is room around it for all headers and
  // the tag.
  [[nodiscard]] bool takes_in_place(const Slot& slot) const {
    const std::uint32_t padding = padded_length(slot.length) - slot.length;
    return !port_.datagram_trains_tx && slot.train == TrainKind::kNone &&
           slot.checksum != ChecksumState::kPartial &&
           slot.headroom >= tunnel::DataLayout::kCiphertext + port_.tx_headroom &&
           slot.tailroom >= padding + tunnel::kTagBytes && BufferPool::is_sole(slot) &&
           slot.length + padding + tunnel::DataLayout::kOverhead <= port_.max_train_bytes;
  }
  // As frame(), for such a slot, which it takes.
  void frame_in_place(const tunnel::Session& session, const tunnel::Path& path,
                      std::uint64_t counter, const Slot& slot, std::uint8_t ecn);

  // Seals what was framed and sends it. Called by itself when the vector is full.
  void flush();

 private:
  // Zeros up to a multiple of 16, but not past the MTU: padding must not make a packet that fits
  // the path one that does not.
  [[nodiscard]] std::uint32_t padded_length(std::uint32_t text_bytes) const {
    const std::uint32_t multiple = static_cast<std::uint32_t>(tunnel::kPaddingMultiple);
    const std::uint32_t rounded = (text_bytes + multiple - 1) / multiple * multiple;
    return std::min(rounded, std::max(text_bytes, inner_mtu_));
  }

  [[nodiscard]] bool fits_open_train(const tunnel::Session& session, const tunnel::Path& path,
                                     std::uint32_t message_bytes, std::uint8_t ecn) const;
  [[nodiscard]] bool open_train(const tunnel::Session& session, const tunnel::Path& path,
                                std::uint32_t message_bytes, std::uint8_t ecn);

  [[nodiscard]] bool allocate_ahead();
  void add_job(const tunnel::Session& session, std::uint64_t counter, std::uint8_t* message,
               std::uint32_t text_bytes, std::uint32_t padded);

  static constexpr std::size_t kMostAhead = 16;  // buffers allocated before they are needed

  WorkerState& worker_;
  const io::PortCapabilities& port_;  // the outer one's
  const std::uint32_t inner_mtu_;
  Scratch<tunnel::AeadJob, kVectorSegments> jobs_;
  Scratch<Slot, kVectorSegments> trains_;
  std::size_t job_count_ = 0;
  std::size_t train_count_ = 0;
  std::size_t ready_count_ = 0;  // trains_ up to here have buffers
  std::size_t ahead_ = 1;
  const tunnel::Session* open_session_ = nullptr;  // whose train is the last one; null: closed
  std::uint32_t open_segments_ = 0;
};

}  // namespace ringway
