#include "overlay/relay/relay_service.hpp"

#include <algorithm>

namespace ringway::overlay {

RelayService::Pair* RelayService::find(const NodeId& a, const NodeId& b) {
  for (Pair& pair : pairs_) {
    if ((pair.node[0] == a && pair.node[1] == b) || (pair.node[0] == b && pair.node[1] == a))
      return &pair;
  }
  return nullptr;
}

std::size_t RelayService::pairs_of(const NodeId& node) const {
  return static_cast<std::size_t>(std::count_if(pairs_.begin(), pairs_.end(), [&](const Pair& p) {
    return p.node[0] == node || p.node[1] == node;
  }));
}

bool RelayService::has_room(const NodeId& a, const NodeId& b) const {
  const RelayParameters& p = core_.parameters.relay;
  return pairs_.size() < p.max_pairs && pairs_of(a) < p.max_pairs_a_node &&
         pairs_of(b) < p.max_pairs_a_node;
}

std::uint8_t RelayService::load() const {
  return static_cast<std::uint8_t>(pairs_.size() * 255 / core_.parameters.relay.max_pairs);
}

std::uint32_t RelayService::new_label() {
  for (;;) {
    const std::uint32_t label = core_.rng.next_u32();
    const bool taken =
        label == 0 || std::any_of(pairs_.begin(), pairs_.end(), [&](const Pair& pair) {
          return pair.in_label[0] == label || pair.in_label[1] == label;
        });
    if (!taken) return label;
  }
}

void RelayService::refuse(const Link& link, const NodeId& node, wire::ReleaseReason reason) {
  core_.drops.add(Drop::kRelayRefused);
  core_.send(link, wire::RelayRelease{node, reason});
}

void RelayService::handle(const Link& link, const wire::RelayRequest& request) {
  const RelayParameters& p = core_.parameters.relay;
  const Link* const other = core_.links.find(request.node);
  if (other == nullptr || other == &link || other->relayed || other->suspect() || link.relayed)
    return refuse(link, request.node, wire::ReleaseReason::kNoLink);
  if (Pair* const pair = find(link.node, request.node)) {
    agree(*pair, link, request.label);
    return;
  }
  const bool loaded = link.queue_mean > p.loaded_packets || other->queue_mean > p.loaded_packets;
  if (loaded || !has_room(link.node, request.node))
    return refuse(link, request.node, wire::ReleaseReason::kBusy);
  Pair pair;
  pair.node[0] = link.node;
  pair.node[1] = other->node;
  pair.link[0] = link.id;
  pair.link[1] = other->id;
  pair.in_label[0] = new_label();
  do {
    pair.in_label[1] = new_label();
  } while (pair.in_label[1] == pair.in_label[0]);
  pair.out_label[0] = request.label;
  pair.expires = core_.now() + p.offer_timeout;
  core_.send(*other, wire::RelayOffer{link.node, pair.in_label[1], load()});
  core_.wake_at(pair.expires);
  pairs_.push_back(pair);
}

void RelayService::handle(const Link& link, const wire::RelayAccept& accept) {
  Pair* const pair = find(link.node, accept.node);
  if (pair == nullptr) {
    core_.drops.add(Drop::kRelayUnasked);
    return;
  }
  agree(*pair, link, accept.label);
}

// One end says with which label it receives, for the first time or again. Both have said so: the
// driver forwards, and who did not know is told.
void RelayService::agree(Pair& pair, const Link& link, std::uint32_t out_label) {
  const std::size_t end = pair.node[0] == link.node ? 0 : 1;
  const bool news = pair.out_label[end] != out_label;
  const bool agreed_before = pair.agreed();
  pair.out_label[end] = out_label;
  if (!pair.agreed()) return;  // asked again before the other end answered
  pair.expires = core_.now() + core_.parameters.relay.lease;
  core_.wake_at(pair.expires);
  for (std::size_t i = 0; i < 2; ++i) {
    if (news) {
      core_.output.relay(
          output::Forward{pair.link[i], pair.in_label[i], pair.link[1 - i], pair.out_label[1 - i]});
    }
    if (i == end || !agreed_before) {
      if (const Link* const to = core_.links.find(pair.link[i]))
        core_.send(*to, wire::RelayGrant{pair.node[1 - i], pair.in_label[i], load()});
    }
  }
}

bool RelayService::handle(const Link& link, const wire::RelayRelease& release) {
  Pair* const pair = find(link.node, release.node);
  if (pair == nullptr) return false;
  end(static_cast<std::size_t>(pair - pairs_.data()), release.reason);
  return true;
}

void RelayService::end(std::size_t index, wire::ReleaseReason reason) {
  const Pair pair = pairs_[index];
  pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(index));
  for (std::size_t i = 0; i < 2; ++i) {
    if (pair.agreed()) core_.output.relay(output::StopForwarding{pair.link[i], pair.in_label[i]});
    if (const Link* const link = core_.links.find(pair.link[i]))
      core_.send(*link, wire::RelayRelease{pair.node[1 - i], reason});
  }
}

void RelayService::on_link_gone(const Link& link) {
  for (std::size_t i = pairs_.size(); i > 0; --i) {
    const Pair& pair = pairs_[i - 1];
    if (pair.link[0] == link.id || pair.link[1] == link.id)
      end(i - 1, wire::ReleaseReason::kNoLink);
  }
}

void RelayService::tick() {
  for (std::size_t i = pairs_.size(); i > 0; --i) {
    if (pairs_[i - 1].expires <= core_.now()) {
      end(i - 1, wire::ReleaseReason::kUnwanted);
    } else {
      core_.wake_at(pairs_[i - 1].expires);
    }
  }
}

}  // namespace ringway::overlay
