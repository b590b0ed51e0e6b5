#include "overlay/dht/messages.hpp"

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

constexpr std::uint8_t kSettledFlag = 1;
constexpr std::uint8_t kMoreFlag = 2;
constexpr std::uint8_t kNoNodesFlag = 1;
constexpr std::uint8_t kLastFlag = 1;
constexpr std::uint8_t kWordFlag = 2;

constexpr std::size_t kVersionBytes = NodeId::kBytes + 8;
static_assert(wire::kLinkHeaderBytes + 1 + 1 + 2 * NodeId::kBytes + 1 +
                  kMaxVersions * kVersionBytes <=
              wire::kMaxMessageBytes);

using wire::ByteReader;
using wire::ByteWriter;

Record read_record(ByteReader& reader) {
  Record record;
  record.value = reader.sized_bytes(kMaxValueBytes);
  record.credential = reader.sized_bytes(kMaxCredentialBytes);
  return record;
}

Nodes read_nodes(ByteReader& reader) {
  Nodes nodes;
  for (std::size_t left = reader.count(kMaxReplicas); left > 0; --left)
    nodes.add(reader.node_id());
  return nodes;
}

Outcome read_outcome(ByteReader& reader) {
  const auto outcome = reader.number<std::uint8_t>();
  if (outcome > kLastOutcome) reader.fail();
  return static_cast<Outcome>(outcome);
}

// One byte of flags, of which only those in `known` are understood.
std::uint8_t read_flags(ByteReader& reader, std::uint8_t known) {
  const auto flags = reader.number<std::uint8_t>();
  if ((flags & ~known) != 0) reader.fail();
  return flags;
}

Versions read_versions(ByteReader& reader) {
  Versions versions;
  for (std::size_t left = reader.count(kMaxVersions); left > 0; --left) {
    Version version;
    version.key = reader.node_id();
    version.id = reader.number<std::uint64_t>();
    versions.add(version);
  }
  return versions;
}

void write_nodes(ByteWriter& writer, const Nodes& nodes) {
  writer.byte(static_cast<std::uint8_t>(nodes.size()));
  for (const NodeId& node : nodes)
    writer.node_id(node);
}

template <typename T>
std::optional<T> if_complete(const ByteReader& reader, const T& parsed) {
  return reader.complete() ? std::optional(parsed) : std::nullopt;
}

}  // namespace

std::optional<StoreReply> parse_store_reply(ConstBytes body) {
  ByteReader reader(body);
  StoreReply reply;
  reply.outcome = read_outcome(reader);
  reply.settled = read_flags(reader, kSettledFlag) != 0;
  reply.sequence = reader.number<std::uint64_t>();
  reply.nodes = read_nodes(reader);
  reply.holder = read_record(reader);
  return if_complete(reader, reply);
}

std::optional<GetRequest> parse_get(ConstBytes body) {
  ByteReader reader(body);
  GetRequest get;
  get.key = reader.node_id();
  get.no_nodes = read_flags(reader, kNoNodesFlag) != 0;
  get.after = reader.node_id();
  return if_complete(reader, get);
}

std::optional<GetReply> parse_get_reply(ConstBytes body) {
  ByteReader reader(body);
  GetReply reply;
  const std::uint8_t flags = read_flags(reader, kSettledFlag | kMoreFlag);
  reply.settled = (flags & kSettledFlag) != 0;
  reply.more = (flags & kMoreFlag) != 0;
  reply.nodes = read_nodes(reader);
  for (std::size_t left = reader.count(kMaxRecords); left > 0; --left) {
    const Record record = read_record(reader);
    if (record.value.empty()) reader.fail();
    reply.records.add(record);
  }
  return if_complete(reader, reply);
}

std::optional<SubscribeRequest> parse_subscribe(ConstBytes body) {
  ByteReader reader(body);
  SubscribeRequest subscribe;
  subscribe.key = reader.node_id();
  subscribe.seconds = reader.number<std::uint16_t>();
  return if_complete(reader, subscribe);
}

std::optional<SubscribeReply> parse_subscribe_reply(ConstBytes body) {
  ByteReader reader(body);
  SubscribeReply reply;
  reply.outcome = read_outcome(reader);
  reply.nodes = read_nodes(reader);
  return if_complete(reader, reply);
}

std::optional<NodeId> parse_credential_request(ConstBytes body) {
  ByteReader reader(body);
  const NodeId owner = reader.node_id();
  return if_complete(reader, owner);
}

std::optional<ConstBytes> parse_credential_reply(ConstBytes body) {
  ByteReader reader(body);
  const ConstBytes credential = reader.sized_bytes(kMaxCredentialBytes);
  return if_complete(reader, credential);
}

std::optional<Record> parse_record(ConstBytes body) {
  ByteReader reader(body);
  const Record record = read_record(reader);
  if (record.value.empty()) reader.fail();
  return if_complete(reader, record);
}

std::optional<Versions> parse_versions(ConstBytes body) {
  ByteReader reader(body);
  const Versions versions = read_versions(reader);
  return if_complete(reader, versions);
}

std::optional<Offer> parse_offer(ConstBytes body) {
  ByteReader reader(body);
  Offer offer;
  offer.page = reader.number<std::uint8_t>();
  const std::uint8_t flags = read_flags(reader, kLastFlag | kWordFlag);
  offer.last = (flags & kLastFlag) != 0;
  if ((flags & kWordFlag) != 0) {
    const NodeId from = reader.node_id();
    const NodeId to = reader.node_id();
    offer.word = KeyRange{from == to, from, to};
  }
  offer.versions = read_versions(reader);
  return if_complete(reader, offer);
}

void emit(ByteWriter& writer, const StoreReply& reply) {
  writer.byte(static_cast<std::uint8_t>(reply.outcome));
  writer.byte(reply.settled ? kSettledFlag : 0);
  writer.number(reply.sequence);
  write_nodes(writer, reply.nodes);
  emit(writer, reply.holder);
}

void emit(ByteWriter& writer, const GetRequest& get) {
  writer.node_id(get.key);
  writer.byte(get.no_nodes ? kNoNodesFlag : 0);
  writer.node_id(get.after);
}

void emit(ByteWriter& writer, const GetReply& reply) {
  writer.byte(
      static_cast<std::uint8_t>((reply.settled ? kSettledFlag : 0) | (reply.more ? kMoreFlag : 0)));
  write_nodes(writer, reply.nodes);
  writer.byte(static_cast<std::uint8_t>(reply.records.size()));
  for (const Record& record : reply.records)
    emit(writer, record);
}

void emit(ByteWriter& writer, const SubscribeRequest& subscribe) {
  writer.node_id(subscribe.key);
  writer.number(subscribe.seconds);
}

void emit(ByteWriter& writer, const SubscribeReply& reply) {
  writer.byte(static_cast<std::uint8_t>(reply.outcome));
  write_nodes(writer, reply.nodes);
}

void emit_credential_request(ByteWriter& writer, const NodeId& owner) {
  writer.node_id(owner);
}

void emit_credential_reply(ByteWriter& writer, ConstBytes credential) {
  writer.sized_bytes(credential);
}

void emit(ByteWriter& writer, const Record& record) {
  writer.sized_bytes(record.value);
  writer.sized_bytes(record.credential);
}

void emit(ByteWriter& writer, const Versions& versions) {
  writer.byte(static_cast<std::uint8_t>(versions.size()));
  for (const Version& version : versions) {
    writer.node_id(version.key);
    writer.number(version.id);
  }
}

void emit(ByteWriter& writer, const Offer& offer) {
  writer.byte(offer.page);
  writer.byte(
      static_cast<std::uint8_t>((offer.last ? kLastFlag : 0) | (offer.word ? kWordFlag : 0)));
  if (offer.word) {
    writer.node_id(offer.word->from);
    writer.node_id(offer.word->to);
  }
  emit(writer, offer.versions);
}

}  // namespace ringway::overlay::dht
