// What the two ends of a link say to each other about the link and their neighbourhood. Not signed:
// a link is a secured channel and its other end known. Not reliable either: whatever must arrive in
// the end is repeated in some form by the heartbeats.
//
//   byte 0   version, 1
//   byte 1   type
//   byte 2.. body, by type; nothing may follow it
//
//   1 hello           wants(1) size(1) list(4) coordinate(7) candidates
//   2 heartbeat       wants(1) size(1) list(4) coordinate(7)
//   3 ping            nonce(4)
//   4 pong            nonce(4), as it came
//   5 status request
//   6 status          list(4) contacts
//   7 goodbye         reason(1)
//   8 routed          wire/routed_message.hpp
//   9 hop ack         sequence(2), of the routed message or broadcast that arrived
//   16 ...            of a service, which parses the body
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.hpp"
#include "overlay/contact.hpp"
#include "overlay/coordinates/coordinate.hpp"

namespace ringway::overlay::wire {

enum class LinkMessageType : std::uint8_t {
  kHello = 1,
  kHeartbeat = 2,
  kPing = 3,
  kPong = 4,
  kStatusRequest = 5,
  kStatus = 6,
  kGoodbye = 7,
  kRouted = 8,
  kHopAck = 9,
  kBroadcast = 32,
};

// The lowest type whose body a service parses.
inline constexpr std::uint8_t kFirstServiceType = 16;
inline constexpr std::size_t kLinkHeaderBytes = 2;
[[nodiscard]] constexpr bool is_service(LinkMessageType type) {
  return static_cast<std::uint8_t>(type) >= kFirstServiceType;
}

// Why an end keeps a link; none of them at both ends: the link may go.
enum Wants : std::uint8_t {
  kWantsNothing = 0,
  kWantsNear = 1,
  kWantsShortcut = 2,
  kWantsLeaf = 4,
  kWantsOnDemand = 8,
  kWantsTrial = 16,  // to measure it, before one of several becomes a shortcut
  kWantsRelay = 32,  // its other end relays between this one and a third, or may be asked to
};
inline constexpr std::uint8_t kAllWants = 63;

struct Heartbeat {
  std::uint8_t wants = kWantsNothing;
  std::uint8_t network_size = 0;   // the sender's log2 of the number of nodes, in eighths
  std::uint32_t list_version = 0;  // of its near neighbours; asked for when it is news
  Coordinate coordinate;           // the sender's
};
struct Hello {
  Heartbeat state;
  Candidates candidates;  // the sender's
  Candidates observed;    // where the sender sees the receiver; at most one, none over a relay
};
struct Ping {
  std::uint32_t nonce = 0;
};
struct Pong {
  std::uint32_t nonce = 0;
};
struct StatusRequest {};
struct Status {
  std::uint32_t list_version = 0;
  Contacts near_neighbours;  // those that answered the sender, never hearsay
};
enum class GoodbyeReason : std::uint8_t {
  kLeaving = 1,    // the whole node
  kUnwanted = 2,   // no end has a use for the link
  kBusy = 3,       // no room for another link
  kDuplicate = 4,  // both ends opened one; the other is kept
  kSilent = 5,     // no answer to pings
  kOverload = 6,   // its queue does not drain
};
struct Goodbye {
  GoodbyeReason reason = GoodbyeReason::kUnwanted;
};
struct HopAck {
  std::uint16_t sequence = 0;
};

using LinkMessage =
    std::variant<Hello, Heartbeat, Ping, Pong, StatusRequest, Status, Goodbye, HopAck>;

// The type, or empty for another version, an unknown type or a message that is too long.
[[nodiscard]] std::optional<LinkMessageType> link_message_type(ConstBytes message);
// Empty for what is malformed in any way, and for routed messages and those of services.
[[nodiscard]] std::optional<LinkMessage> parse_link_message(ConstBytes message);

class ByteWriter;
void emit(ByteWriter& writer, const LinkMessage& message);

}  // namespace ringway::overlay::wire
