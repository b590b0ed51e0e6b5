#include "dataplane/outbound.hpp"

#include <algorithm>
#include <cstring>

namespace ringway {

using tunnel::DataLayout;

namespace {

// Zeros up to a multiple of 16, but not past the MTU: padding must not make a packet that fits the
// path one that does not.
std::uint32_t padded_length(std::uint32_t text_bytes, std::uint32_t mtu) {
  const std::uint32_t multiple = static_cast<std::uint32_t>(tunnel::kPaddingMultiple);
  const std::uint32_t rounded = (text_bytes + multiple - 1) / multiple * multiple;
  return std::min(rounded, std::max(text_bytes, mtu));
}

void emit_data_header(std::uint8_t* message, const tunnel::Session& session,
                      std::uint64_t counter) {
  tunnel::emit_message_header(message, tunnel::MessageType::kData, session.suite());
  store_le(message + DataLayout::kReceiver, session.remote_index().value);
  store_le(message + DataLayout::kCounter, counter);
}

}  // namespace

Outbound::Outbound(WorkerState& worker)
    : worker_(worker),
      port_(worker.outer.capabilities()),
      inner_mtu_(worker.inner.capabilities().mtu) {}

bool Outbound::fits_open_train(const tunnel::Session& session, const tunnel::Path& path,
                               std::uint32_t message_bytes, std::uint8_t ecn) const {
  if (open_session_ != &session) return false;
  const Slot& train = trains_[train_count_ - 1];
  // One shorter segment may end a train; nothing may follow it.
  return train.length == open_segments_ * std::uint32_t{train.segment_bytes} &&
         message_bytes <= train.segment_bytes && open_segments_ < port_.max_train_segments &&
         train.length + message_bytes <= port_.max_train_bytes && message_bytes <= train.tailroom &&
         train.traffic_class == ecn && path.same_remote(train.remote);
}

bool Outbound::open_train(const tunnel::Session& session, const tunnel::Path& path,
                          std::uint32_t message_bytes, std::uint8_t ecn) {
  Slot slot;
  if (worker_.outer.alloc_burst({&slot, 1}) == 0) {
    worker_.drop(DropReason::kNoBuffer);
    return false;
  }
  if (message_bytes > slot.tailroom || message_bytes > port_.max_train_bytes) {
    BufferPool::release(slot);
    worker_.drop(DropReason::kTooBig);
    return false;
  }
  slot.traffic_class = ecn;
  slot.remote = path.remote;
  slot.local = path.local;
  slot.interface = path.interface;
  slot.segment_bytes = static_cast<std::uint16_t>(message_bytes);
  trains_[train_count_++] = slot;
  open_segments_ = 0;
  open_session_ = port_.datagram_trains_tx ? &session : nullptr;
  return true;
}

std::uint8_t* Outbound::frame(const tunnel::Session& session, const tunnel::Path& path,
                              std::uint64_t counter, std::uint32_t text_bytes, std::uint8_t ecn) {
  if (job_count_ == kVectorSegments) flush();
  const std::uint32_t padded = padded_length(text_bytes, inner_mtu_);
  const std::uint32_t message_bytes = padded + static_cast<std::uint32_t>(DataLayout::kOverhead);
  if (!fits_open_train(session, path, message_bytes, ecn) &&
      !open_train(session, path, message_bytes, ecn)) {
    return nullptr;
  }

  Slot& train = trains_[train_count_ - 1];
  std::uint8_t* message = train.data + train.length;
  train.length += message_bytes;
  train.tailroom -= message_bytes;
  ++open_segments_;
  if (open_segments_ == 2) train.train = TrainKind::kDatagrams;

  emit_data_header(message, session, counter);
  std::uint8_t* text = message + DataLayout::kCiphertext;
  std::memset(text + text_bytes, 0, padded - text_bytes);
  jobs_[job_count_++] = {&session.send_key(), text, padded, false, counter};
  return text;
}

void Outbound::flush() {
  if (job_count_ > 0) worker_.crypto.seal({jobs_.data(), job_count_});
  if (train_count_ > 0) {
    const std::size_t refused = worker_.outer.tx_burst({trains_.data(), train_count_});
    if (refused > 0) worker_.drop(DropReason::kTxFailed, refused);
  }
  job_count_ = 0;
  train_count_ = 0;
  open_session_ = nullptr;
}

}  // namespace ringway
