// Plaintext on its way out: segments are framed behind each other into trains of one peer, sealed
// in one batch, and handed to the outer port. Used by the stages of to_tunnel and for keepalives
// and control frames.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/scratch.hpp"
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
  [[nodiscard]] bool takes_in_place(const Slot& slot) const;
  // As frame(), for such a slot, which it takes.
  void frame_in_place(const tunnel::Session& session, const tunnel::Path& path,
                      std::uint64_t counter, const Slot& slot, std::uint8_t ecn);

  // Seals what was framed and sends it. Called by itself when the vector is full.
  void flush();

 private:
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
