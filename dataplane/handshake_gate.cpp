#include "dataplane/handshake_gate.hpp"

#include <array>
#include <cstring>

namespace ringway {
namespace {

using tunnel::MessageType;

std::size_t exact_length(MessageType type) {
  switch (type) {
    case MessageType::kInitiation:
      return tunnel::InitiationLayout::kSize;
    case MessageType::kResponse:
      return tunnel::ResponseLayout::kSize;
    case MessageType::kCookieReply:
      return tunnel::CookieReplyLayout::kSize;
    case MessageType::kData:
      break;
  }
  return SIZE_MAX;
}

// The state begins when the ring is crowded. While it lasts the gate keeps the ring short, so that
// then the crowd before the gate tells whether it goes on: if it ended meanwhile, the ring would be
// let fill up once a second, and each of those handshakes costs control a public-key operation.
bool under_load(WorkerState& worker, Instant now) {
  const bool before = now < worker.under_load_until;
  worker.handshakes_under_load = before ? worker.handshakes_under_load + 1 : 0;
  const bool crowded = worker.link.handshakes.size() >= kUnderLoadHandshakes ||
                       worker.handshakes_under_load >= kUnderLoadHandshakes;
  if (crowded) {
    if (!before) worker.counters.under_load.increment();
    worker.under_load_until = now + kUnderLoadHysteresis;
    worker.handshakes_under_load = 0;
  }
  return before || crowded;
}

// Under load, a message without a cookie from a source that has used its replies up:
// there is no answer to it, whatever its mac1, and no need to hash it. Only messages with a valid
// mac1 use replies up, so a stranger to our key cannot spend another's.
bool is_more_of_the_same(WorkerState& worker, ConstBytes message,
                         const tunnel::DatagramSource& from, Instant now) {
  return now < worker.under_load_until && !tunnel::CookieChecker::has_mac2(message) &&
         worker.cookie_reply_limiter.exhausted(now, from.remote.address);
}

void make_cookie_reply(WorkerState& worker, ConstBytes message, const tunnel::DatagramSource& from,
                       Instant now) {
  if (worker.cookie_reply_count == worker.cookie_replies.size()) flush_cookie_replies(worker);
  Slot& slot = worker.cookie_replies[worker.cookie_reply_count];
  if (worker.outer.alloc_burst({&slot, 1}) == 0) {
    worker.drop(DropReason::kNoBuffer);
    return;
  }
  ++worker.cookie_reply_count;
  worker.cookie_checker.make_reply(now, message, from.remote,
                                   std::span<std::uint8_t, tunnel::CookieReplyLayout::kSize>(
                                       slot.data, tunnel::CookieReplyLayout::kSize));
  slot.length = tunnel::CookieReplyLayout::kSize;
  slot.tailroom -= slot.length;
  slot.remote = from.remote;
  slot.local = from.local;
  slot.interface = from.interface;
}

// Whether a message with a valid mac1 may go on, by what is asked for under load.
bool passes_under_load(WorkerState& worker, ConstBytes message, const tunnel::DatagramSource& from,
                       Instant now) {
  if (!worker.cookie_checker.mac2_valid(now, message, from.remote)) {
    worker.drop(DropReason::kCookieDemanded);
    if (worker.cookie_reply_limiter.allow(now, from.remote.address)) {
      make_cookie_reply(worker, message, from, now);
    }
    return false;
  }
  if (!worker.handshake_limiter.allow(now, from.remote.address)) {
    worker.drop(DropReason::kHandshakeRateLimit);
    return false;
  }
  return true;
}

void pass_to_control(WorkerState& worker, ConstBytes message, const tunnel::DatagramSource& from) {
  HandshakeReceived received{from, {}};
  std::memcpy(received.message.data.data(), message.data(), message.size());
  received.message.length = static_cast<std::uint8_t>(message.size());
  if (!worker.link.handshakes.try_push(std::move(received))) {
    worker.drop(DropReason::kHandshakeRingFull);
    return;
  }
  worker.events_pushed = true;
  worker.counters.handshakes_in.increment();
}

}  // namespace

void offer_handshake(WorkerState& worker, ConstBytes message, tunnel::MessageHeader header,
                     const tunnel::DatagramSource& from, Instant now) {
  if (message.size() != exact_length(header.type)) {
    worker.drop(DropReason::kOuterMalformed);
    return;
  }
  // A cookie reply carries no MAC of its own: control checks it against what it sent.
  if (header.type == MessageType::kCookieReply) {
    pass_to_control(worker, message, from);
    return;
  }
  if (is_more_of_the_same(worker, message, from, now)) {
    ++worker.handshakes_under_load;
    worker.drop(DropReason::kCookieDemanded);
    return;
  }
  OfferedHandshakes& offered = worker.offered_handshakes;
  offered.messages[offered.count] = message;
  offered.sources[offered.count] = from;
  if (++offered.count == offered.messages.size()) admit_offered(worker, now);
}

void admit_offered(WorkerState& worker, Instant now) {
  OfferedHandshakes& offered = worker.offered_handshakes;
  if (offered.count == 0) return;
  std::array<bool, tunnel::CookieChecker::kMac1Batch> valid;
  worker.cookie_checker.check_mac1({offered.messages.data(), offered.count}, valid);
  for (std::size_t i = 0; i < offered.count; ++i) {
    if (!valid[i]) {
      worker.drop(DropReason::kBadMac1);
      continue;
    }
    const ConstBytes message = offered.messages[i];
    if (under_load(worker, now) && !passes_under_load(worker, message, offered.sources[i], now)) {
      continue;
    }
    pass_to_control(worker, message, offered.sources[i]);
  }
  offered.count = 0;
}

void flush_cookie_replies(WorkerState& worker) {
  if (worker.cookie_reply_count == 0) return;
  const std::size_t refused =
      worker.outer.tx_burst({worker.cookie_replies.data(), worker.cookie_reply_count});
  if (refused > 0) worker.drop(DropReason::kTxFailed, refused);
  worker.counters.cookie_replies.add(worker.cookie_reply_count - refused);
  worker.cookie_reply_count = 0;
}

}  // namespace ringway
