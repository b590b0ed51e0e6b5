// A link: a secured, authenticated channel to one node, which the driver opens and closes. Each end
// says what it wants the link for; a link that no end wants goes after a while.
//
//            open / link_up                both ends want nothing for unwanted_grace,
//    (none) ────────────────► UP ────────► goodbye, silence, overload ────► (none)
//                             │ ▲
//  silent: probed, no answer  ▼ │ anything received
//                           SUSPECT: probed again; not used for routing
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "base/time.hpp"
#include "overlay/contact.hpp"
#include "overlay/coordinates/coordinate.hpp"
#include "overlay/rtt_estimator.hpp"
#include "overlay/wire/link_messages.hpp"

namespace ringway::overlay {

// The driver's name for a link; not used again while the overlay may speak of the old one.
struct LinkId {
  std::uint32_t value = UINT32_MAX;
  static constexpr LinkId none() { return {}; }
  constexpr auto operator<=>(const LinkId&) const = default;
};
// Names an Open until it is answered. Zero: a link that the other end opened.
struct AttemptId {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const AttemptId&) const = default;
};

struct Link {
  // What each message and each turn looks at stands in front, in one cache line.
  LinkId id;
  std::uint8_t ours = wire::kWantsNothing;
  std::uint8_t theirs = wire::kWantsNothing;
  std::uint8_t probes = 0;         // sent and not answered yet
  std::uint8_t network_size = 0;   // the other end's estimate, 0 while unknown
  std::uint32_t list_version = 0;  // of near_list
  bool list_known = false;
  bool opened_here = false;
  bool relayed = false;  // through another node, since no direct link could be had
  std::uint16_t next_sequence = 0;
  Instant last_received;
  Instant last_probe;
  NodeId node;

  RttEstimator rtt;
  Coordinate coordinate;  // of the other end
  Instant coordinate_used = Instant::distant_past();
  std::uint32_t ping_nonce = 0;
  Instant up_since;
  Instant last_used;       // by routed messages
  Instant unwanted_since;  // when both ends began to want nothing
  double queue_mean = 0;
  float loss = 0;  // share of messages that should have been acknowledged and were not
  Candidates candidates;
  std::vector<Contact> near_list;  // the other end's near neighbours, kept while either wants near

  void heard_at(Instant now) {
    last_received = now;
    probes = 0;
  }
  [[nodiscard]] bool probed() const { return probes > 0; }
  // A probe had its time and no answer came.
  [[nodiscard]] bool suspect() const { return probes > 1; }
  [[nodiscard]] bool wanted() const { return (ours | theirs) != 0; }
  [[nodiscard]] bool wants(std::uint8_t kind) const { return ((ours | theirs) & kind) != 0; }
  [[nodiscard]] bool near() const { return (ours & theirs & wire::kWantsNear) != 0; }
  // Part of the ring, as seen from here: one that only joins through us is not.
  [[nodiscard]] bool in_ring() const {
    return near() || wants(wire::kWantsShortcut | wire::kWantsOnDemand | wire::kWantsRelay);
  }
  void count_loss(bool lost) {
    constexpr float kGain = 1.0F / 16;
    loss += kGain * ((lost ? 1.0F : 0.0F) - loss);
  }
  [[nodiscard]] bool routable() const { return in_ring() && !suspect(); }
};

}  // namespace ringway::overlay
