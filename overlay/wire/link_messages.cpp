#include "overlay/wire/link_messages.hpp"

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::wire {
namespace {

Heartbeat read_heartbeat(ByteReader& reader) {
  Heartbeat heartbeat;
  heartbeat.wants = reader.number<std::uint8_t>();
  if ((heartbeat.wants & ~kAllWants) != 0) reader.fail();
  heartbeat.network_size = reader.number<std::uint8_t>();
  heartbeat.list_version = reader.number<std::uint32_t>();
  heartbeat.coordinate = reader.coordinate();
  return heartbeat;
}

Goodbye read_goodbye(ByteReader& reader) {
  const auto reason = reader.number<std::uint8_t>();
  if (reason < 1 || reason > static_cast<std::uint8_t>(GoodbyeReason::kOverload)) reader.fail();
  return {static_cast<GoodbyeReason>(reason)};
}

LinkMessage read_body(LinkMessageType type, ByteReader& reader) {
  switch (type) {
    case LinkMessageType::kHello: {
      Hello hello;
      hello.state = read_heartbeat(reader);
      hello.candidates = reader.candidates();
      hello.observed = reader.candidates();
      if (hello.observed.size() > 1) reader.fail();
      return hello;
    }
    case LinkMessageType::kHeartbeat:
      return read_heartbeat(reader);
    case LinkMessageType::kPing:
      return Ping{reader.number<std::uint32_t>()};
    case LinkMessageType::kPong:
      return Pong{reader.number<std::uint32_t>()};
    case LinkMessageType::kStatusRequest:
      return StatusRequest{};
    case LinkMessageType::kStatus: {
      Status status;
      status.list_version = reader.number<std::uint32_t>();
      status.near_neighbours = reader.contacts();
      return status;
    }
    case LinkMessageType::kGoodbye:
      return read_goodbye(reader);
    case LinkMessageType::kHopAck:
      return HopAck{reader.number<std::uint16_t>()};
    default:  // routed messages, and what a service parses
      break;
  }
  reader.fail();
  return StatusRequest{};
}

struct Emitter {
  ByteWriter& writer;

  void head(LinkMessageType type) const {
    writer.byte(kVersion);
    writer.byte(static_cast<std::uint8_t>(type));
  }
  void state(const Heartbeat& heartbeat) const {
    writer.byte(heartbeat.wants);
    writer.byte(heartbeat.network_size);
    writer.number(heartbeat.list_version);
    writer.coordinate(heartbeat.coordinate);
  }
  void operator()(const Hello& hello) const {
    head(LinkMessageType::kHello);
    state(hello.state);
    writer.candidates(hello.candidates);
    writer.candidates(hello.observed);
  }
  void operator()(const Heartbeat& heartbeat) const {
    head(LinkMessageType::kHeartbeat);
    state(heartbeat);
  }
  void operator()(const Ping& ping) const {
    head(LinkMessageType::kPing);
    writer.number(ping.nonce);
  }
  void operator()(const Pong& pong) const {
    head(LinkMessageType::kPong);
    writer.number(pong.nonce);
  }
  void operator()(const StatusRequest&) const { head(LinkMessageType::kStatusRequest); }
  void operator()(const Status& status) const {
    head(LinkMessageType::kStatus);
    writer.number(status.list_version);
    writer.contacts(status.near_neighbours);
  }
  void operator()(const Goodbye& goodbye) const {
    head(LinkMessageType::kGoodbye);
    writer.byte(static_cast<std::uint8_t>(goodbye.reason));
  }
  void operator()(const HopAck& ack) const {
    head(LinkMessageType::kHopAck);
    writer.number(ack.sequence);
  }
};

}  // namespace

std::optional<LinkMessageType> link_message_type(ConstBytes message) {
  if (message.size() < kLinkHeaderBytes || message.size() > kMaxMessageBytes) return std::nullopt;
  if (message[0] != kVersion) return std::nullopt;
  const bool of_the_link =
      message[1] >= 1 && message[1] <= static_cast<std::uint8_t>(LinkMessageType::kHopAck);
  if (!of_the_link && message[1] < kFirstServiceType) return std::nullopt;
  return static_cast<LinkMessageType>(message[1]);
}

std::optional<LinkMessage> parse_link_message(ConstBytes message) {
  const auto type = link_message_type(message);
  if (!type) return std::nullopt;
  ByteReader reader(message.subspan(kLinkHeaderBytes));
  LinkMessage parsed = read_body(*type, reader);
  if (!reader.complete()) return std::nullopt;
  return parsed;
}

void emit(ByteWriter& writer, const LinkMessage& message) {
  std::visit(Emitter{writer}, message);
}

}  // namespace ringway::overlay::wire
