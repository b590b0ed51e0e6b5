#include "overlay/meeting/dht_meeting_place.hpp"

#include <algorithm>
#include <utility>

namespace ringway::overlay {
namespace {

dht::Order order_for(dht::Task task, const MeetingName& name) {
  dht::Order order;
  order.task = task;
  order.kind = dht::Kind::kMember;
  order.name = {name.begin(), name.end()};
  return order;
}

}  // namespace

void DhtMeetingPlace::publish(const MeetingName& name, ConstBytes value, Duration ttl) {
  dht::Order order = order_for(dht::Task::kPut, name);
  order.payload = {value.begin(), value.end()};
  order.ttl = ttl;
  overlay_.dht(clock_).begin(std::move(order));
}

void DhtMeetingPlace::withdraw(const MeetingName& name) {
  overlay_.dht(clock_).begin(order_for(dht::Task::kRemove, name));
}

void DhtMeetingPlace::fetch(const MeetingName& name) {
  constexpr std::size_t kMostFetches = 4;  // one that is not answered is asked again
  if (fetches_.size() >= kMostFetches) fetches_.erase(fetches_.begin());
  const std::uint64_t operation = overlay_.dht(clock_).begin(order_for(dht::Task::kGet, name));
  if (operation != 0) fetches_.push_back({operation, name});
}

std::optional<DhtMeetingPlace::Fetched> DhtMeetingPlace::on_done(const output::DhtDone& done) {
  const auto found = std::find_if(fetches_.begin(), fetches_.end(), [&](const Fetch& fetch) {
    return fetch.operation == done.operation;
  });
  if (found == fetches_.end()) return std::nullopt;
  Fetched fetched{found->name, {}};
  fetches_.erase(found);
  for (const dht::Found& value : done.values)
    fetched.values.push_back(value.payload);
  return fetched;
}

}  // namespace ringway::overlay
