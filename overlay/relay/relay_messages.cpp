#include "overlay/relay/relay_messages.hpp"

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"

namespace ringway::overlay::wire {
namespace {

constexpr std::size_t kHeaderBytes = 2;

NeighbourList read_neighbours(ByteReader& reader) {
  NeighbourList list;
  for (std::size_t left = reader.count(kMaxNeighbours); left > 0 && !reader.failed(); --left) {
    Neighbour neighbour;
    neighbour.node = reader.node_id();
    neighbour.wants = reader.number<std::uint8_t>();
    if ((neighbour.wants & ~kAllWants) != 0) reader.fail();
    neighbour.age_s = reader.number<std::uint16_t>();
    neighbour.rtt_ms = reader.number<std::uint16_t>();
    neighbour.loss = reader.number<std::uint8_t>();
    list.neighbours.add(neighbour);
  }
  return list;
}

// Never zero: that stands for none.
std::uint32_t read_label(ByteReader& reader) {
  const auto label = reader.number<std::uint32_t>();
  if (label == 0) reader.fail();
  return label;
}

ReleaseReason read_reason(ByteReader& reader) {
  const auto reason = reader.number<std::uint8_t>();
  if (reason < 1 || reason > static_cast<std::uint8_t>(ReleaseReason::kBusy)) reader.fail();
  return static_cast<ReleaseReason>(reason);
}

RelayMessage read_body(RelayMessageType type, ByteReader& reader) {
  if (type == RelayMessageType::kNeighbours) return read_neighbours(reader);
  if (type == RelayMessageType::kSilence) return RelaySilence{};
  const NodeId node = reader.node_id();
  if (type == RelayMessageType::kRelease) return RelayRelease{node, read_reason(reader)};
  const std::uint32_t label = read_label(reader);
  switch (type) {
    case RelayMessageType::kOffer:
      return RelayOffer{node, label, reader.number<std::uint8_t>()};
    case RelayMessageType::kAccept:
      return RelayAccept{node, label};
    case RelayMessageType::kGrant:
      return RelayGrant{node, label, reader.number<std::uint8_t>()};
    default:
      return RelayRequest{node, label};
  }
}

struct Emitter {
  ByteWriter& writer;

  void head(RelayMessageType type) const {
    writer.byte(kVersion);
    writer.byte(static_cast<std::uint8_t>(type));
  }
  template <typename Message>
  void labelled(RelayMessageType type, const Message& message) const {
    head(type);
    writer.node_id(message.node);
    writer.number(message.label);
  }
  void operator()(const NeighbourList& list) const {
    head(RelayMessageType::kNeighbours);
    emit_neighbours(writer, list);
  }
  void operator()(const RelayRequest& request) const {
    labelled(RelayMessageType::kRequest, request);
  }
  void operator()(const RelayOffer& offer) const {
    labelled(RelayMessageType::kOffer, offer);
    writer.byte(offer.load);
  }
  void operator()(const RelayAccept& accept) const { labelled(RelayMessageType::kAccept, accept); }
  void operator()(const RelayGrant& grant) const {
    labelled(RelayMessageType::kGrant, grant);
    writer.byte(grant.load);
  }
  void operator()(const RelayRelease& release) const {
    head(RelayMessageType::kRelease);
    writer.node_id(release.node);
    writer.byte(static_cast<std::uint8_t>(release.reason));
  }
  void operator()(const RelaySilence&) const { head(RelayMessageType::kSilence); }
};

}  // namespace

bool is_relay_message(ConstBytes message) {
  return message.size() >= kHeaderBytes && message[0] == kVersion &&
         message[1] >= static_cast<std::uint8_t>(RelayMessageType::kNeighbours) &&
         message[1] <= static_cast<std::uint8_t>(RelayMessageType::kSilence);
}

std::optional<RelayMessage> parse_relay_message(ConstBytes message) {
  if (!is_relay_message(message)) return std::nullopt;
  ByteReader reader(message.subspan(kHeaderBytes));
  RelayMessage parsed = read_body(static_cast<RelayMessageType>(message[1]), reader);
  if (!reader.complete()) return std::nullopt;
  return parsed;
}

std::optional<NeighbourList> parse_neighbours(ConstBytes body) {
  ByteReader reader(body);
  const NeighbourList list = read_neighbours(reader);
  if (!reader.complete()) return std::nullopt;
  return list;
}

void emit(ByteWriter& writer, const RelayMessage& message) {
  std::visit(Emitter{writer}, message);
}

void emit_neighbours(ByteWriter& writer, const NeighbourList& list) {
  writer.byte(static_cast<std::uint8_t>(list.neighbours.size()));
  for (const Neighbour& neighbour : list.neighbours) {
    writer.node_id(neighbour.node);
    writer.byte(neighbour.wants);
    writer.number(neighbour.age_s);
    writer.number(neighbour.rtt_ms);
    writer.byte(neighbour.loss);
  }
}

}  // namespace ringway::overlay::wire
