// What becomes of messages that are not as they should be: one list that makes the enum, the
// counter and the text.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ringway::overlay {

// clang-format off
#define RINGWAY_OVERLAY_DROPS(X)                                                             \
  X(kMalformed,      "malformed",       "version, type, lengths or counts wrong")             \
  X(kUnknownLink,    "unknown_link",    "over a link that is not there any more")             \
  X(kNoRoute,        "no_route",        "the ring ends before its destination")               \
  X(kTtlExpired,     "ttl_expired",     "went on for too long")                               \
  X(kHopsExhausted,  "hops_exhausted",  "no next hop acknowledged it")                        \
  X(kInFlightFull,   "in_flight_full",  "too many messages wait for acknowledgement")         \
  X(kBadSignature,   "bad_signature",   "not signed by its source for this group")            \
  X(kSealBroken,     "seal_broken",     "sealed to another node or in another message")      \
  X(kSealRefused,    "seal_refused",    "from a node to whom nothing can be sealed")         \
  X(kReplayed,       "replayed",        "came before")                                        \
  X(kOutdated,       "outdated",        "too old, or from the future")                        \
  X(kUnexpected,     "unexpected",      "a reply to no request, or from another than asked")  \
  X(kRequestsFull,   "requests_full",   "too many requests wait for replies")                 \
  X(kRefusedLink,    "refused_link",    "no room for another link")                            \
  X(kUnknownService, "unknown_service", "a request that no part of this node answers")  \
  X(kBroadcastRate,  "broadcast_rate",  "its origin has spoken to the whole ring too often")   \
  /* the DHT */                                                                              \
  X(kValueForged,    "value_forged",    "a value that its owner did not sign")               \
  X(kValueNotAllowed, "value_not_allowed", "a value that its owner may not write there")     \
  X(kValueUntimely,  "value_untimely",  "a value whose time is over, or too far away")       \
  X(kValueStale,     "value_stale",     "an earlier version than the one that is there")     \
  X(kValueHeld,      "value_held",      "a value at a key that another owner holds")         \
  X(kStoreFull,      "store_full",      "no room for another value of that owner or key")    \
  X(kStoreTooFast,   "store_too_fast",  "more stores than a replica takes in that time")     \
  X(kNotReplica,     "not_replica",     "a key for which this node does not answer")         \
  X(kSubscribersFull, "subscribers_full", "no room for another subscription or notice")      \
  X(kOperationsFull, "operations_full", "too many operations of this node on the DHT")       \
  X(kRolledBack,     "rolled_back",     "an earlier version than this node has read before")   \
  /* addresses that others named */                                                          \
  X(kCandidatePort,      "candidate_port",       "an address without a port")                \
  X(kCandidateTunnel,    "candidate_tunnel",     "an address inside of the tunnel")          \
  X(kCandidateLoopback,  "candidate_loopback",   "a loopback address")                       \
  X(kCandidateLinkLocal, "candidate_link_local", "a link-local address")                     \
  X(kCandidateMulticast, "candidate_multicast",  "a multicast address")                      \
  X(kCandidateBroadcast, "candidate_broadcast",  "a broadcast address")                      \
  X(kCandidateMartian,   "candidate_martian",    "an address that no host has")              \
  X(kCandidatePrivate,   "candidate_private",    "a private address of another network")     \
  X(kCallsOfTarget,      "calls_of_target",      "an address that was called too often")     \
  X(kCallsInAll,         "calls_in_all",         "too many addresses to call at a time")     \
  /* relays */                                                                               \
  X(kRelayUnasked,   "relay_unasked",   "a relay's or neighbour's answer to nothing asked")    \
  X(kRelayRefused,   "relay_refused",   "no room to relay, or no direct links for it")
// clang-format on

enum class Drop : std::uint8_t {
#define X(name, label, text) name,
  RINGWAY_OVERLAY_DROPS(X)
#undef X
};

struct DropText {
  std::string_view label;  // in metrics and --json
  std::string_view text;   // for a person
};
inline constexpr std::array kDropTexts = {
#define X(name, label, text) DropText{label, text},
    RINGWAY_OVERLAY_DROPS(X)
#undef X
};

class DropCounters {
 public:
  void add(Drop drop) { ++counts_[static_cast<std::size_t>(drop)]; }
  [[nodiscard]] std::uint32_t value(Drop drop) const {
    return counts_[static_cast<std::size_t>(drop)];
  }

 private:
  std::array<std::uint32_t, kDropTexts.size()> counts_{};
};

}  // namespace ringway::overlay
