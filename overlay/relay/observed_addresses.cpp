#include "overlay/relay/observed_addresses.hpp"

#include <algorithm>

namespace ringway::overlay {

void ObservedAddresses::add(const NodeId& reporter, const net::Endpoint& endpoint) {
  if (const auto refusal = refusal_of(endpoint, core_.networks)) {
    core_.drops.add(*refusal);  // nobody could call us there
    return;
  }
  const bool known = core_.candidates.contains(endpoint);
  if (known && std::find(added_.begin(), added_.end(), endpoint) == added_.end())
    return;  // the driver's own: nothing is in between
  std::erase_if(reports_, [&](const Report& report) { return report.reporter == reporter; });
  const auto same_address = [&](const Report& report) {
    return report.endpoint.address == endpoint.address;
  };
  const bool second = std::any_of(reports_.begin(), reports_.end(), same_address);
  if (reports_.size() == kKept) reports_.erase(reports_.begin());
  reports_.push_back({reporter, endpoint});
  if (!second || known) return;
  // The ports differ: the newest stands for all of that address, unless two named another.
  const auto named_twice = std::count_if(reports_.begin(), reports_.end(),
                                         [&](const Report& r) { return r.endpoint == endpoint; });
  const bool other_port_known =
      std::any_of(added_.begin(), added_.end(), [&](const net::Endpoint& added) {
        return added.address == endpoint.address &&
               std::count_if(reports_.begin(), reports_.end(),
                             [&](const Report& r) { return r.endpoint == added; }) > 1;
      });
  if (named_twice < 2 && other_port_known) return;
  offer(endpoint);
}

// In place of what we added before of the same address.
void ObservedAddresses::offer(const net::Endpoint& endpoint) {
  for (std::size_t i = core_.candidates.size(); i > 0; --i) {
    const net::Endpoint candidate = core_.candidates[i - 1];
    if (candidate.address == endpoint.address &&
        std::find(added_.begin(), added_.end(), candidate) != added_.end())
      core_.candidates.remove_at(i - 1);
  }
  std::erase_if(added_,
                [&](const net::Endpoint& each) { return each.address == endpoint.address; });
  if (core_.candidates.add(endpoint)) added_.push_back(endpoint);
}

}  // namespace ringway::overlay
