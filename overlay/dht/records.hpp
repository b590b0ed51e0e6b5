// What a group keeps in its DHT, each as the order that writes or reads it: names, the lists of
// gateways and relays, revocations. Address leases have a part of their own (address_lease.hpp).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "overlay/dht/client.hpp"

namespace ringway::overlay::dht {

// --- Names: one owner each, by create. What stands there is the owner's, such as its addresses.
// Capital letters are made small (RFC 4343); empty for a name that nobody may have.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> name_from_text(std::string_view text);
[[nodiscard]] std::optional<Order> claim_name(std::string_view text, ConstBytes payload);
[[nodiscard]] std::optional<Order> resolve_name(std::string_view text);

// --- Gateways and relays: one list each, in which those with the role stand. A reader believes an
// entry only with the role in its owner's certificate. Short-lived: a list is worth what is alive.
inline constexpr Duration kAnnouncementTtl = Duration::seconds(600);
[[nodiscard]] Order announce(Kind role, ConstBytes payload);
[[nodiscard]] Order list(Kind role);

// --- Revocations: an issuer's number of the list that counts, and who was revoked last; the whole
// list is fetched from whoever has that number. All members subscribe, so there is one key for each
// quarter of them, lest the replicas of one tell all.
inline constexpr std::uint8_t kRevocationShards = 4;
inline constexpr std::size_t kMaxRevokedNodes = 24;
struct RevocationEntry {
  std::uint64_t list_number = 0;
  BoundedList<NodeId, kMaxRevokedNodes> revoked;  // the last ones
};
[[nodiscard]] std::vector<std::uint8_t> encode(const RevocationEntry& entry);
[[nodiscard]] std::optional<RevocationEntry> parse_revocation(ConstBytes payload);
// To be put in all shards.
[[nodiscard]] Order revoke(std::uint8_t shard, const RevocationEntry& entry);
// The shard that this member is told by.
[[nodiscard]] Order watch_revocations(const NodeId& self);

}  // namespace ringway::overlay::dht
