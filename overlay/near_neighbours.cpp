#include "overlay/near_neighbours.hpp"

#include <algorithm>
#include <vector>

#include "overlay/ring_logarithm.hpp"

namespace ringway::overlay {
namespace {

constexpr std::size_t kContactsASide = 2;
constexpr unsigned kSizeFractionBits = 3;  // a network size on the wire is in eighths

// Keeps the `a_side` nodes that lie first in `side`'s order.
template <typename List, typename Item, typename Less>
void insert_nearest(List& side, const Item& item, std::size_t a_side, Less nearer) {
  std::size_t at = side.size();
  if (at == a_side) {
    if (!nearer(item, side[at - 1])) return;
    --at;
  } else {
    side.add(item);
  }
  for (; at > 0 && nearer(item, side[at - 1]); --at)
    side[at] = side[at - 1];
  side[at] = item;
}

}  // namespace

void NearNeighbours::start() {
  search_interval_ = core_.parameters.repair_interval;
  search_due_ = core_.now();
  check_due_ = core_.now() + core_.parameters.ring_check_interval +
               core_.jitter(core_.parameters.ring_check_interval);
  core_.wake_at(search_due_);
}

NearNeighbours::Side NearNeighbours::nearest_linked(bool clockwise_side) const {
  const auto way = [&](const NodeId& node) {
    return clockwise_side ? clockwise(core_.self(), node) : clockwise(node, core_.self());
  };
  Side side;
  for (const Link& link : core_.links) {
    insert_nearest(side, link.node, core_.parameters.near_a_side,
                   [&](const NodeId& a, const NodeId& b) { return way(a) < way(b); });
  }
  return side;
}

std::size_t NearNeighbours::mutual(const Side& side) const {
  return static_cast<std::size_t>(std::count_if(side.begin(), side.end(), [&](const NodeId& node) {
    const Link* const link = core_.links.find(node);
    return link != nullptr && link->near();
  }));
}

void NearNeighbours::update() {
  const Side right = nearest_linked(true);
  const Side left = nearest_linked(false);
  const bool changed = !(right == right_) || !(left == left_);
  right_ = right;
  left_ = left;
  ++core_.neighbourhood_version;
  apply_wants();
  if (changed) {
    ++core_.list_version;
    status_due_ = std::min(status_due_, core_.now() + core_.parameters.status_delay);
    core_.wake_at(status_due_);
    search_interval_ = core_.parameters.repair_interval;
  }
  const std::size_t right_mutual = mutual(right_);
  const std::size_t left_mutual = mutual(left_);
  rpc_.set_in_ring(right_mutual > 0 && left_mutual > 0);
  const bool missing = std::min(right_mutual, left_mutual) < core_.parameters.near_a_side;
  if (missing && (changed || !side_missing_)) {
    search_due_ = std::min(search_due_, core_.now() + search_interval_);
    core_.wake_at(search_due_);
  }
  side_missing_ = missing;
  estimate_size();
}

void NearNeighbours::apply_wants() {
  for (Link& link : core_.links) {
    const bool near = right_.contains(link.node) || left_.contains(link.node);
    const std::uint8_t others = link.ours & static_cast<std::uint8_t>(~wire::kWantsNear);
    core_.set_wants(link, near ? others | wire::kWantsNear : others);
    if (!link.wants(wire::kWantsNear)) {
      std::vector<Contact>().swap(link.near_list);  // few of the links that were near are again
      link.list_known = false;
    }
  }
}

bool NearNeighbours::would_be_near(const NodeId& node) const {
  // Fewer than near_a_side nodes in between, linked or being called: on one side at least.
  std::size_t right = linker_.near_attempts_between(core_.self(), node);
  std::size_t left = linker_.near_attempts_between(node, core_.self());
  for (const Link& link : core_.links) {
    if (between(core_.self(), link.node, node)) ++right;
    if (between(node, link.node, core_.self())) ++left;
  }
  return std::min(right, left) < core_.parameters.near_a_side;
}

void NearNeighbours::consider(const Contact& contact, const std::optional<SealingKey>& key) {
  if (lacks(contact.node)) call(contact, key);
}

void NearNeighbours::call(const Contact& contact, const std::optional<SealingKey>& key) {
  if (linker_.under_way(contact.node)) return;
  const auto begun = linker_.link_to(contact, wire::kWantsNear, key);
  if (begun != Linker::Begun::kBackingOff && begun != Linker::Begun::kNoRoom) return;
  // Nothing else may happen that reminds us of it: with wrong neighbours a side is not missing.
  const Instant again = core_.now() + core_.parameters.repair_interval;
  retry_due_ = std::min(retry_due_, std::max(again, linker_.backs_off_until(contact.node)));
  core_.wake_at(retry_due_);
}

void NearNeighbours::on_status(Link& link, const wire::Status& status) {
  link.list_version = status.list_version;
  link.list_known = true;
  if (!link.wants(wire::kWantsNear)) return;
  ++core_.neighbourhood_version;
  link.near_list.assign(status.near_neighbours.begin(), status.near_neighbours.end());
  for (const Contact& contact : status.near_neighbours)
    consider(contact);
  estimate_size();
}

void NearNeighbours::reconsider() {
  for (Link& link : core_.links) {
    for (const Contact& contact : link.near_list)
      consider(contact);
  }
}

void NearNeighbours::on_answer(const Answer& answer) {
  if (!answer.answered) return;
  // It may lack this node though this one has nearer ones: in two rings that meet.
  const wire::Whereabouts& there = answer.whereabouts;
  const Contact responder{answer.responder, there.candidates};
  (there.wants & wire::kWantsNear) != 0 && responder.node != core_.self()
      ? call(responder, answer.key)
      : consider(responder, answer.key);
  for (const Contact& contact : there.contacts)
    consider(contact);
}

void NearNeighbours::search(wire::Direction direction, FirstHop first_hop) {
  Query query;
  query.purpose = Purpose::kNear;
  query.method = wire::Method::kConnect;
  query.destination = core_.self();
  query.route.direction = direction;
  query.first_hop = first_hop;
  query.wants = wire::kWantsNear;
  rpc_.ask(query);
}

wire::Status NearNeighbours::status() const {
  wire::Status status;
  status.list_version = core_.list_version;
  for (const Side* const side : {&right_, &left_}) {
    for (const NodeId& node : *side) {
      const Link* const link = core_.links.find(node);
      if (link == nullptr) continue;
      const Contact contact{node, link->candidates};
      if (!status.near_neighbours.contains(contact)) status.near_neighbours.add(contact);
    }
  }
  return status;
}

void NearNeighbours::send_status(const Link& link) {
  core_.send(link, status());
}

void NearNeighbours::tick() {
  if (core_.now() >= status_due_) {
    status_due_ = Instant::never();
    for (const Link& link : core_.links)
      if (link.wants(wire::kWantsNear)) send_status(link);
  }
  if (side_missing_ && core_.now() >= search_due_ && core_.links.size() > 0) {
    if (mutual(right_) < core_.parameters.near_a_side)
      search(wire::Direction::kSuccessor, FirstHop::kFar);
    if (mutual(left_) < core_.parameters.near_a_side)
      search(wire::Direction::kPredecessor, FirstHop::kFar);
    reconsider();
    search_due_ = core_.now() + search_interval_ + core_.jitter(search_interval_);
    search_interval_ = std::min(search_interval_ * 2, core_.parameters.longest_repair_interval);
  }
  if (core_.now() >= retry_due_) {
    retry_due_ = Instant::never();
    reconsider();
  }
  if (core_.now() >= check_due_) {
    search(core_.rng.below(2) == 0 ? wire::Direction::kSuccessor : wire::Direction::kPredecessor,
           FirstHop::kFar);
    check_due_ = core_.now() + core_.parameters.ring_check_interval;
  }
  core_.wake_at(status_due_);
  core_.wake_at(retry_due_);
  if (side_missing_ && core_.links.size() > 0) core_.wake_at(search_due_);
  core_.wake_at(check_due_);
}

Contacts NearNeighbours::contacts_around(const NodeId& place) const {
  using Nearest = BoundedList<const Link*, kContactsASide>;
  Nearest after;
  Nearest before;
  for (const Link& link : core_.links) {
    if (link.node == place || link.candidates.empty()) continue;
    insert_nearest(after, &link, kContactsASide, [&](const Link* a, const Link* b) {
      return clockwise(place, a->node) < clockwise(place, b->node);
    });
    insert_nearest(before, &link, kContactsASide, [&](const Link* a, const Link* b) {
      return clockwise(a->node, place) < clockwise(b->node, place);
    });
  }
  Contacts contacts;
  for (const Nearest* const side : {&after, &before}) {
    for (const Link* const link : *side) {
      const Contact contact{link->node, link->candidates};
      if (!contacts.contains(contact)) contacts.add(contact);
    }
  }
  return contacts;
}

void NearNeighbours::estimate_size() {
  // The nodes known around this one stand without gaps between them as far as the neighbours'
  // lists reach; their density is that of the ring.
  const std::vector<NodeId> known = core_.links.nodes_around(core_.self());
  core_.network_size = 0;
  if (known.empty()) return;
  // The two sides are told apart by the widest gap: everything but it is counted.
  const std::size_t gaps = known.size();
  Distance widest = clockwise(core_.self(), known.front());
  for (std::size_t i = 1; i <= known.size(); ++i) {
    const NodeId& to = i < known.size() ? known[i] : core_.self();
    widest = std::max(widest, clockwise(known[i - 1], to));
  }
  const Distance span = Distance{} - widest;  // the rest of the ring
  std::uint32_t log2 = 1U << kLogFractionBits;
  if (!span.is_zero()) {
    const std::uint32_t count =
        log2_of(Distance{0, 0, static_cast<std::uint32_t>(std::max<std::size_t>(gaps, 1))});
    log2 = (kRingBits << kLogFractionBits) + count - log2_of(span);
  }
  const std::uint32_t eighths = log2 >> (kLogFractionBits - kSizeFractionBits);
  core_.network_size = static_cast<std::uint8_t>(std::clamp<std::uint32_t>(eighths, 1, 255));
}

std::uint32_t NearNeighbours::network_log2() const {
  if (core_.network_size == 0) return 0;
  std::uint32_t sum = core_.network_size;
  std::uint32_t count = 1;
  for (const Link& link : core_.links) {
    if (link.network_size == 0) continue;
    sum += link.network_size;
    ++count;
  }
  return (sum << (kLogFractionBits - kSizeFractionBits)) / count;
}

}  // namespace ringway::overlay
