// What two ends of a relayed link and the relay between them say. Over links: version(1) type(1),
// then
//
//   24 neighbours   list         the sender's neighbours, to the other end of a relayed link
//   25 request      node(20) label(4)          to a relay: carry messages between us and that node
//   26 offer        node(20) label(4) load(1)  of a relay, to that other node
//   27 accept       node(20) label(4)          its answer
//   28 grant        node(20) label(4) load(1)  the relay's answer to the request
//   29 release      node(20) reason(1)         no, or no more: from whom and to whom ever
//   30 silence      empty                      over a relayed link: nothing is heard from you, use
//                                              another relay
//
//   list    count(1), at most 16; so many of: node(20) wants(1) age(2) round trip(2) loss(1)
//
// Labels are given by who receives with them (as in MPLS, RFC 3031 section 3.4): a request and an
// accept carry what the relay is to put on messages to the sender, an offer and a grant what the
// receiver is to put on messages to the relay.
// Method 24 asks for the other's list through the ring: request and reply have a list as body.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "overlay/contact.hpp"
#include "overlay/wire/rpc_messages.hpp"

namespace ringway::overlay::wire {

enum class RelayMessageType : std::uint8_t {
  kNeighbours = 24,
  kRequest = 25,
  kOffer = 26,
  kAccept = 27,
  kGrant = 28,
  kRelease = 29,
  kSilence = 30,
};

inline constexpr Method kNeighboursMethod{24};

// Brunet exchanges as many.
inline constexpr std::size_t kMaxNeighbours = 16;
struct Neighbour {
  NodeId node;
  std::uint8_t wants = 0;    // what either end keeps the link for
  std::uint16_t age_s = 0;   // of the link; 65535 for longer
  std::uint16_t rtt_ms = 0;  // measured; 65535: unknown
  std::uint8_t loss = 0;     // of 255 messages
  [[nodiscard]] bool operator==(const Neighbour&) const = default;
};
inline constexpr std::uint16_t kUnknownRtt = 65535;
struct NeighbourList {
  BoundedList<Neighbour, kMaxNeighbours> neighbours;
};

struct RelayRequest {
  NodeId node;
  std::uint32_t label = 0;
};
struct RelayOffer {
  NodeId node;
  std::uint32_t label = 0;
  std::uint8_t load = 0;  // of 255: the room that is taken
};
struct RelayAccept {
  NodeId node;
  std::uint32_t label = 0;
};
struct RelayGrant {
  NodeId node;
  std::uint32_t label = 0;
  std::uint8_t load = 0;
};
enum class ReleaseReason : std::uint8_t {
  kUnwanted = 1,  // the sender has no use for it
  kNoLink = 2,    // no direct link with that node: a relay needs two
  kBusy = 3,      // no room, or its links are full
};
struct RelayRelease {
  NodeId node;
  ReleaseReason reason = ReleaseReason::kUnwanted;
};
struct RelaySilence {};

using RelayMessage = std::variant<NeighbourList, RelayRequest, RelayOffer, RelayAccept, RelayGrant,
                                  RelayRelease, RelaySilence>;

// Whether the bytes claim to be a relay message; empty for what then is malformed in any way.
[[nodiscard]] bool is_relay_message(ConstBytes message);
[[nodiscard]] std::optional<RelayMessage> parse_relay_message(ConstBytes message);
[[nodiscard]] std::optional<NeighbourList> parse_neighbours(ConstBytes body);

class ByteWriter;
void emit(ByteWriter& writer, const RelayMessage& message);
void emit_neighbours(ByteWriter& writer, const NeighbourList& list);  // the body alone

}  // namespace ringway::overlay::wire
