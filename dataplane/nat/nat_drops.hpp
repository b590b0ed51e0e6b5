// Why the NAT did not forward a packet. Appended to the dataplane's one list of drop reasons
// (dataplane/drop_reasons.hpp), from which come counters, metrics and the text a person reads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringway::nat {

// clang-format off
#define RINGWAY_NAT_DROP_REASONS(X)                                                                   \
  X(Malformed,           "nat_malformed",         "headers that contradict each other or the length") \
  X(BadChecksum,         "nat_bad_checksum",      "ICMP with a wrong checksum")                       \
  X(Unsupported,         "nat_unsupported",       "transport protocol that cannot be translated")     \
  X(NoExternalAddress,   "nat_no_address",        "no external address of this family")               \
  X(DestinationDenied,   "nat_denied",            "destination behind or beside the gateway")         \
  X(SourceDenied,        "nat_source_denied",     "from outside with an inner or an external source") \
  X(NoMapping,           "nat_no_mapping",        "from outside, to a port that is nobody's")         \
  X(Filtered,            "nat_filtered",          "from outside, from where nothing was asked")       \
  X(UnsolicitedSyn,      "nat_unsolicited_syn",   "TCP from outside that no connection began")        \
  X(PortsExhausted,      "nat_ports_exhausted",   "no free external port")                            \
  X(SubscriberPortLimit, "nat_port_limit",        "subscriber has its share of external ports")       \
  X(SubscriberStateLimit,"nat_state_limit",       "subscriber has its share of mappings")             \
  X(TableFull,           "nat_table_full",        "no room for another mapping")                      \
  X(TtlExpired,          "nat_ttl_expired",       "TTL or hop limit ran out here")                    \
  X(TooBig,              "nat_too_big",           "larger than the way out, and not to be fragmented") \
  X(FragmentLimit,       "nat_fragment_limit",    "too many fragments waiting, or one that contradicts others") \
  X(FragmentExpired,     "nat_fragment_expired",  "fragment whose first never came")                  \
  X(ErrorRateLimit,      "nat_error_rate",        "ICMP error not sent: too many")
// clang-format on

enum class Drop : std::uint8_t {
#define X(name, label, text) k##name,
  RINGWAY_NAT_DROP_REASONS(X)
#undef X
};
inline constexpr std::array kDropLabels = {
#define X(name, label, text) std::string_view(label),
    RINGWAY_NAT_DROP_REASONS(X)
#undef X
};
inline constexpr std::size_t kDropCount = kDropLabels.size();

}  // namespace ringway::nat
