// Why a packet was not forwarded. This one list, with the NAT's at its end, makes the enum, the
// counters, the metrics' labels and the text a person reads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/counters.hpp"
#include "dataplane/nat/nat_drops.hpp"

namespace ringway {

// clang-format off
#define RINGWAY_DROP_REASONS(X)                                                                     \
  X(kInnerMalformed,     "inner_malformed",     "inner packet with an invalid IP header or length") \
  X(kNoRoute,            "no_route",            "destination in no peer's allowed IPs")             \
  X(kNoEndpoint,         "no_endpoint",         "peer has no known endpoint")                       \
  X(kStageFull,          "stage_full",          "too many packets waiting for a handshake")         \
  X(kStageExpired,       "stage_expired",       "waited for a handshake that did not complete")     \
  X(kTooBig,             "too_big",             "larger than the tunnel can carry")                 \
  X(kNoBuffer,           "no_buffer",           "no free buffer")                                   \
  X(kTxFailed,           "tx_failed",           "egress port refused the packet")                   \
  X(kOuterMalformed,     "outer_malformed",     "not a tunnel message: length, type or reserved bytes") \
  X(kTruncated,          "truncated",           "datagram longer than a receive buffer")            \
  X(kUnknownReceiver,    "unknown_receiver",    "no session with this receiver index")              \
  X(kSuiteMismatch,      "suite_mismatch",      "suite byte differs from the session's")            \
  X(kSessionExpired,     "session_expired",     "session past its time or packet limit")            \
  X(kAuthFailed,         "auth_failed",         "authentication tag wrong")                         \
  X(kReplayed,           "replayed",            "counter seen before or too old")                   \
  X(kSourceNotAllowed,   "source_not_allowed",  "inner source not in the peer's allowed IPs")       \
  X(kControlRefused,     "control_refused",     "control frame from a peer that may not send it, or too many") \
  X(kBadMac1,            "bad_mac1",            "handshake with a wrong mac1")                      \
  X(kCookieDemanded,     "cookie_demanded",     "under load: handshake without a cookie")     \
  X(kHandshakeRateLimit, "handshake_rate",      "too many handshakes from one source")              \
  X(kHandshakeRingFull,  "handshake_ring_full", "control plane busy: handshake not queued")         \
  X(kEventRingFull,      "event_ring_full",     "control plane busy: frame not queued")             \
  X(kRateLimited,        "rate_limited",        "subscriber above its bandwidth limit")            \
  X(kOverShare,          "over_share",          "subscriber above its share of a port that is too slow for all") \
  X(kEcnNotCapable,      "ecn_invalid",         "congestion marked outside, inner not ECN-capable") \
  X(kHostDenied,         "host_denied",         "to the gateway itself, and neither ping nor DNS") \
  X(kGiveBackLimit,      "give_back_limit",     "the kernel's, but too many to be given back to it") \
  X(kFrameMalformed,     "frame_malformed",     "Ethernet frame without a whole IP packet")         \
  X(kUnreachable,        "unreachable",         "no route by an Ethernet port of ours")             \
  X(kHandoffFull,        "handoff_full",        "the worker that owns it does not keep up")        \
  X(kHandoffNoBuffer,    "handoff_no_buffer",   "handed over once more, and no buffer for its copy") \
  X(kNeighbourPending,   "neighbour_pending",   "neighbour not resolved in time, or too many waiting")
// clang-format on

enum class DropReason : std::uint8_t {
#define X(name, label, text) name,
  RINGWAY_DROP_REASONS(X)
#undef X
#define X(name, label, text) kNat##name,
      RINGWAY_NAT_DROP_REASONS(X)
#undef X
};

[[nodiscard]] constexpr DropReason drop_reason(nat::Drop drop) {
#define X(name, label, text) DropReason::kNat##name,
  constexpr std::array kReasons = {RINGWAY_NAT_DROP_REASONS(X)};
#undef X
  return kReasons[static_cast<std::size_t>(drop)];
}

struct DropReasonText {
  std::string_view label;  // in metrics and --json
  std::string_view text;   // for a person
};
inline constexpr std::array kDropReasonTexts = {
#define X(name, label, text) DropReasonText{label, text},
    RINGWAY_DROP_REASONS(X) RINGWAY_NAT_DROP_REASONS(X)
#undef X
};
inline constexpr std::size_t kDropReasonCount = kDropReasonTexts.size();

// One writer (the worker), any readers.
class DropCounters {
 public:
  void add(DropReason reason, std::uint64_t packets = 1) {
    counters_[static_cast<std::size_t>(reason)].add(packets);
  }
  [[nodiscard]] std::uint64_t value(DropReason reason) const {
    return counters_[static_cast<std::size_t>(reason)].value();
  }

 private:
  std::array<Counter, kDropReasonCount> counters_;
};

}  // namespace ringway
