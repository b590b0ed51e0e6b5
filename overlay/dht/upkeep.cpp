#include "overlay/dht/upkeep.hpp"

#include <algorithm>

#include "overlay/dht/neighbourhood.hpp"

namespace ringway::overlay::dht {
namespace {

// A renewal that failed, or found no room among the operations, is tried again this much later.
constexpr Duration kRepeatAfter = Duration::seconds(5);

bool is_subscription(const Order& order) {
  return order.task == Task::kSubscribe;
}

bool is_removal(const Order& order) {
  return order.task == Task::kRemove;
}

// As many of each side as the neighbourhood of a key has.
std::vector<NodeId> nearest_nodes(const Core& core) {
  const std::vector<NodeId> known = core.links.nodes_around(core.self());
  const Nodes nearest = nearest_to(core.self(), known);
  return {nearest.begin(), nearest.end()};
}

Duration half(Duration duration) {
  return Duration::nanoseconds(duration.count_ns() / 2);
}

}  // namespace

Upkeep::Item* Upkeep::find(const Order& order) {
  const auto same = std::find_if(items_.begin(), items_.end(), [&](const Item& item) {
    return is_subscription(item.order) == is_subscription(order) && item.order.kind == order.kind &&
           item.order.name == order.name &&
           (!is_subscription(order) || item.order.owner == order.owner);
  });
  return same == items_.end() ? nullptr : &*same;
}

bool Upkeep::add(const Order& order) {
  Item* item = find(order);
  if (items_.empty()) stand_around_ = nearest_nodes(core_);  // nobody kept watch
  if (item == nullptr) {
    if (!has_room_for(order)) {
      core_.drops.add(Drop::kOperationsFull);
      return false;
    }
    item = &items_.emplace_back();
  }
  item->order = order;
  item->order.renewal = true;
  item->order.asker = Asker::kUpkeep;
  item->due = Instant::never();
  item->until = is_removal(order) ? core_.now() + kLongestTtl : Instant::never();
  return true;
}

// A removal that was made long ago gives way to what is there.
bool Upkeep::has_room_for(const Order& order) {
  const auto same_kind = std::count_if(items_.begin(), items_.end(), [&](const Item& each) {
    return is_subscription(each.order) == is_subscription(order);
  });
  const std::size_t most =
      is_subscription(order) ? parameters_.max_own_subscriptions : parameters_.max_published;
  if (static_cast<std::size_t>(same_kind) < most) return true;
  if (is_subscription(order)) return false;
  const auto oldest = std::min_element(
      items_.begin(), items_.end(), [](const Item& a, const Item& b) { return a.until < b.until; });
  if (!is_removal(oldest->order)) return false;
  items_.erase(oldest);
  return true;
}

void Upkeep::forget(const Order& order) {
  if (const Item* const item = find(order)) items_.erase(items_.begin() + (item - items_.data()));
}

void Upkeep::on_done(const Done& done) {
  Item* const item = find(done.order);
  // Another order for the same name may have taken its place.
  if (item == nullptr || done.order.task != item->order.task) return;
  // It never was there, or is another's; a renewal that failed otherwise is tried again.
  const bool never_began = !done.order.renewal &&
                           (done.result == Result::kRefused || done.order.task == Task::kCreate) &&
                           done.result != Result::kDone;
  if (never_began || done.result == Result::kHeld) {
    forget(done.order);
    return;
  }
  const Duration ttl = is_subscription(done.order) ? parameters_.subscription : done.order.ttl;
  if (done.result != Result::kDone) {
    item->due = core_.now() + kRepeatAfter + core_.jitter(kRepeatAfter);
  } else if (is_removal(done.order)) {
    item->due = item->until;
  } else {
    item->due = core_.now() + half(ttl) - core_.jitter(half(half(half(ttl))));
  }
  core_.wake_at(item->due);
}

void Upkeep::on_link_lost() {
  if (items_.empty()) return;
  if (core_.now() > alarm_window_ends_) {
    links_lost_ = 0;
    alarm_window_ends_ = core_.now() + parameters_.alarm_window;
  }
  ++links_lost_;
  if (links_lost_ < parameters_.alarm_links || links_lost_ * 4 < core_.links.size() + links_lost_)
    return;
  renew_soon();
}

void Upkeep::on_neighbourhood_change() {
  if (items_.empty()) return;
  if (core_.now() > meeting_window_ends_) {
    stood_around_ = stand_around_;
    meeting_window_ends_ = core_.now() + parameters_.alarm_window;
  }
  stand_around_ = nearest_nodes(core_);
  const auto stood_there =
      std::count_if(stand_around_.begin(), stand_around_.end(), [&](const NodeId& node) {
        return std::find(stood_around_.begin(), stood_around_.end(), node) != stood_around_.end();
      });
  if (stood_around_.empty() || static_cast<std::size_t>(stood_there) * 2 > stand_around_.size())
    return;
  stood_around_ = stand_around_;
  renew_soon();
}

void Upkeep::renew_soon() {
  for (Item& item : items_) {
    if (item.due == Instant::never()) continue;
    item.due = std::min(item.due, core_.now() + parameters_.renew_after_alarm +
                                      core_.jitter(parameters_.renew_after_alarm));
    core_.wake_at(item.due);
  }
}

void Upkeep::tick() {
  std::erase_if(items_, [&](const Item& item) { return core_.now() >= item.until; });
  for (Item& item : items_) {
    if (core_.now() >= item.due)
      item.due = client_.begin(item.order) != 0 ? Instant::never() : core_.now() + kRepeatAfter;
    core_.wake_at(item.due);
  }
}

bool Upkeep::holds(Kind kind, const std::vector<std::uint8_t>& name) const {
  return std::any_of(items_.begin(), items_.end(), [&](const Item& item) {
    return item.order.task == Task::kCreate && item.order.kind == kind && item.order.name == name;
  });
}

bool Upkeep::awaits(const Value& value) const {
  return std::any_of(items_.begin(), items_.end(), [&](const Item& item) {
    const Order& order = item.order;
    if (order.kind != value.kind ||
        !std::equal(order.name.begin(), order.name.end(), value.name.begin(), value.name.end()))
      return false;
    if (!is_subscription(order)) return order.task == Task::kCreate;
    return order.kind != Kind::kOwned || order.owner == value.owner;
  });
}

}  // namespace ringway::overlay::dht
