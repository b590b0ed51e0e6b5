// This node as a relay: pairs of nodes whose messages it swaps labels for. The driver forwards;
// here is decided for whom. A pair comes about when one node asks and the other agrees, each over
// its own direct link with this node, and ends with either link, a release, or when no end asks
// again.
//
//              request of one end                accept, or a request, of the other
//    (none) ─────────────────────► OFFERED ───────────────────────────► FORWARDING
//      ▲                              │ refusal, offer_timeout               │
//      └──────────────────────────────┴──────────────────────────────────────┘
//                                        release, a link that goes, the lease's end
#pragma once

#include <vector>

#include "overlay/core.hpp"
#include "overlay/relay/relay_messages.hpp"

namespace ringway::overlay {

class RelayService {
 public:
  explicit RelayService(Core& core) : core_(core) {}

  void handle(const Link& link, const wire::RelayRequest& request);
  void handle(const Link& link, const wire::RelayAccept& accept);
  // False when no pair is meant: this node may itself be an end of what is released.
  bool handle(const Link& link, const wire::RelayRelease& release);
  // `link` is not in the table any more, or was replaced by another.
  void on_link_gone(const Link& link);
  void tick();

  [[nodiscard]] std::size_t pairs() const { return pairs_.size(); }

 private:
  struct Pair {
    NodeId node[2];
    LinkId link[2];
    std::uint32_t in_label[2] = {};   // on what the node sends us
    std::uint32_t out_label[2] = {};  // on what we send it; 0: it did not say so far
    Instant expires;
    [[nodiscard]] bool agreed() const { return out_label[0] != 0 && out_label[1] != 0; }
  };
  [[nodiscard]] Pair* find(const NodeId& a, const NodeId& b);
  [[nodiscard]] bool has_room(const NodeId& a, const NodeId& b) const;
  [[nodiscard]] std::size_t pairs_of(const NodeId& node) const;
  [[nodiscard]] std::uint8_t load() const;
  [[nodiscard]] std::uint32_t new_label();
  void agree(Pair& pair, const Link& link, std::uint32_t out_label);
  // Tells the ends that are still there, and the driver.
  void end(std::size_t index, wire::ReleaseReason reason);
  void refuse(const Link& link, const NodeId& node, wire::ReleaseReason reason);

  Core& core_;
  std::vector<Pair> pairs_;
};

}  // namespace ringway::overlay
