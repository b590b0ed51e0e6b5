#include "overlay/dht/records.hpp"

#include "overlay/dht/admission.hpp"
#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

Order order_of(Task task, Kind kind, ConstBytes name, ConstBytes payload) {
  Order order;
  order.task = task;
  order.kind = kind;
  order.name.assign(name.begin(), name.end());
  order.payload.assign(payload.begin(), payload.end());
  return order;
}

}  // namespace

std::optional<std::vector<std::uint8_t>> name_from_text(std::string_view text) {
  std::vector<std::uint8_t> name;
  for (const char character : text) {
    const bool capital = character >= 'A' && character <= 'Z';
    name.push_back(static_cast<std::uint8_t>(capital ? character - 'A' + 'a' : character));
  }
  if (!is_permitted_name(name)) return std::nullopt;
  return name;
}

std::optional<Order> claim_name(std::string_view text, ConstBytes payload) {
  const auto name = name_from_text(text);
  if (!name) return std::nullopt;
  return order_of(Task::kCreate, Kind::kName, *name, payload);
}

std::optional<Order> resolve_name(std::string_view text) {
  const auto name = name_from_text(text);
  if (!name) return std::nullopt;
  return order_of(Task::kGet, Kind::kName, *name, {});
}

Order announce(Kind role, ConstBytes payload) {
  Order order = order_of(Task::kPut, role, {}, payload);
  order.ttl = kAnnouncementTtl;
  return order;
}

Order list(Kind role) {
  return order_of(Task::kGet, role, {}, {});
}

std::vector<std::uint8_t> encode(const RevocationEntry& entry) {
  wire::ByteWriter writer;
  writer.number(entry.list_number);
  writer.byte(static_cast<std::uint8_t>(entry.revoked.size()));
  for (const NodeId& node : entry.revoked)
    writer.node_id(node);
  return {writer.view().begin(), writer.view().end()};
}

std::optional<RevocationEntry> parse_revocation(ConstBytes payload) {
  wire::ByteReader reader(payload);
  RevocationEntry entry;
  entry.list_number = reader.number<std::uint64_t>();
  for (std::size_t left = reader.count(kMaxRevokedNodes); left > 0; --left)
    entry.revoked.add(reader.node_id());
  return reader.complete() ? std::optional(entry) : std::nullopt;
}

Order revoke(std::uint8_t shard, const RevocationEntry& entry) {
  return order_of(Task::kPut, Kind::kRevocation, {&shard, 1}, encode(entry));
}

Order watch_revocations(const NodeId& self) {
  // The lowest bits of the ID: nodes that stand together on the ring are told by different keys.
  const auto shard = static_cast<std::uint8_t>(self.from_zero().low % kRevocationShards);
  return order_of(Task::kSubscribe, Kind::kRevocation, {&shard, 1}, {});
}

}  // namespace ringway::overlay::dht
