#include "dataplane/outbound.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"

namespace ringway {

using tunnel::DataLayout;

namespace {

void emit_data_header(std::uint8_t* message, const tunnel::Session& session,
                      std::uint64_t counter) {
  tunnel::emit_message_header(message, tunnel::MessageType::kData, session.suite());
  store_le(message + DataLayout::kReceiver, session.remote_index().value);
  store_le(message + DataLayout::kCounter, counter);
}

void address(Slot& slot, const tunnel::Session& session, const tunnel::Path& path,
             std::uint8_t ecn) {
  slot.subscriber = session.peer();
  slot.traffic_class = ecn;
  slot.remote = path.remote;
  slot.local = path.local;
  slot.interface = path.interface;
}

}  // namespace

Outbound::~Outbound() {
  DCHECK(train_count_ == 0);
  for (std::size_t i = 0; i < ready_count_; ++i)
    BufferPool::release(trains_[i]);
}

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

// More the more there is to send: a single packet costs one buffer, a long vector few calls.
bool Outbound::allocate_ahead() {
  const std::size_t count = std::min(ahead_, kVectorSegments - train_count_);
  ready_count_ += worker_.outer.alloc_burst({&trains_[train_count_], count});
  ahead_ = std::min(2 * ahead_, kMostAhead);
  return ready_count_ > train_count_;
}

bool Outbound::open_train(const tunnel::Session& session, const tunnel::Path& path,
                          std::uint32_t message_bytes, std::uint8_t ecn) {
  if (ready_count_ == train_count_ && !allocate_ahead()) {
    worker_.drop(DropReason::kNoBuffer);
    return false;
  }
  Slot& slot = trains_[train_count_];
  if (message_bytes > slot.tailroom || message_bytes > port_.max_train_bytes) {
    worker_.drop(DropReason::kTooBig);
    return false;
  }
  address(slot, session, path, ecn);
  slot.segment_bytes = static_cast<std::uint16_t>(message_bytes);
  ++train_count_;
  open_segments_ = 0;
  open_session_ = port_.datagram_trains_tx ? &session : nullptr;
  return true;
}

std::uint8_t* Outbound::frame(const tunnel::Session& session, const tunnel::Path& path,
                              std::uint64_t counter, std::uint32_t text_bytes, std::uint8_t ecn) {
  if (job_count_ == kVectorSegments) flush();
  const std::uint32_t padded = padded_length(text_bytes);
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

  add_job(session, counter, message, text_bytes, padded);
  return message + DataLayout::kCiphertext;
}

void Outbound::frame_in_place(const tunnel::Session& session, const tunnel::Path& path,
                              std::uint64_t counter, const Slot& slot, std::uint8_t ecn) {
  if (job_count_ == kVectorSegments) flush();
  const std::uint32_t padded = padded_length(slot.length);
  // A buffer that stands ready here waits behind the others.
  if (train_count_ < ready_count_) {
    if (ready_count_ == kVectorSegments) {
      BufferPool::release(trains_[train_count_]);
    } else {
      trains_[ready_count_++] = trains_[train_count_];
    }
  } else {
    ++ready_count_;
  }
  Slot& train = trains_[train_count_++];
  copy_without_address(train, slot);
  train.data -= DataLayout::kCiphertext;
  train.headroom -= static_cast<std::uint32_t>(DataLayout::kCiphertext);
  train.length = padded + static_cast<std::uint32_t>(DataLayout::kOverhead);
  train.tailroom -= padded - slot.length + static_cast<std::uint32_t>(tunnel::kTagBytes);
  address(train, session, path, ecn);
  open_session_ = nullptr;
  add_job(session, counter, train.data, slot.length, padded);
}

void Outbound::add_job(const tunnel::Session& session, std::uint64_t counter, std::uint8_t* message,
                       std::uint32_t text_bytes, std::uint32_t padded) {
  emit_data_header(message, session, counter);
  std::uint8_t* const text = message + DataLayout::kCiphertext;
  // Less than 16 bytes of padding, but the tag is not there yet.
  static_assert(tunnel::kPaddingMultiple <= tunnel::kTagBytes);
  std::memset(text + text_bytes, 0, tunnel::kTagBytes);
  jobs_[job_count_++] = {&session.send_key(), text, padded, false, session.suite(), counter};
}

void Outbound::flush() {
  end_stage(worker_.stage_clock, Stage::kFrame);
  if (job_count_ > 0) worker_.crypto.seal({jobs_.data(), job_count_});
  end_stage(worker_.stage_clock, Stage::kSeal);
  if (train_count_ > 0) {
    const std::size_t refused = worker_.outer.tx_burst({trains_.data(), train_count_});
    if (refused > 0) worker_.drop(DropReason::kTxFailed, refused);
  }
  end_stage(worker_.stage_clock, Stage::kTransmit);
  for (std::size_t i = train_count_; i < ready_count_; ++i)
    trains_[i - train_count_] = trains_[i];
  ready_count_ -= train_count_;
  job_count_ = 0;
  train_count_ = 0;
  open_session_ = nullptr;
}

}  // namespace ringway
