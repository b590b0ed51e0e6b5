// A private overlay beside a public one, some of whose nodes are its members and run both: two
// simulations of the same time, between which goes what a node's driver would carry.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "overlay/meeting/dht_meeting_place.hpp"
#include "overlay/sim/modelled_meeting.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

class PrivateOverlay {
 public:
  // Both must outlive it; members' nodes know nobody: `members` has no well-known ones.
  PrivateOverlay(Simulation& home, Simulation& members);

  // The node, which has been added to the public overlay, is a member from now on.
  void add_member(NodeIndex home);
  // Runs both until the private ring of all members is right; none: not within `limit`.
  [[nodiscard]] std::optional<Duration> time_until_right(Duration limit);

 private:
  struct Member {
    Member(NodeIndex at_home, NodeIndex own, Overlay& overlay, const NodeId& id)
        : home(at_home),
          index(own),
          rng(own),
          secret({1}, rng),
          place(overlay),
          meeting(parameters, id, secret, place) {}
    NodeIndex home;
    NodeIndex index;  // among the members
    MeetingParameters parameters;
    SeededRng rng;  // of nonces
    ModelledMeetingSecret secret;
    DhtMeetingPlace place;
    Meeting meeting;
    bool started = false;
  };
  void run_until(Instant time);
  void serve(Member& member);
  void pass_on_found();

  Simulation& home_;
  Simulation& members_;
  std::vector<std::unique_ptr<Member>> list_;
  std::deque<std::pair<NodeIndex, output::DhtDone>> done_;
};

}  // namespace ringway::overlay::sim
