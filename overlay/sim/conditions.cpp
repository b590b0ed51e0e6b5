#include "overlay/sim/conditions.hpp"

#include <algorithm>

#include "overlay/sim/distributions.hpp"

namespace ringway::overlay::sim {
namespace {

// IPv6, UDP, and a data message's header and tag around the control frame.
constexpr std::size_t kEnvelopeBytes = 40 + 8 + 32;

void forget_sent(auto& queue, Instant now) {
  while (!queue.empty() && queue.front().leaves <= now)
    queue.pop_front();
}

}  // namespace

void Network::set_uplink(NodeIndex node, const Uplink& uplink) {
  if (node >= uplinks_.size()) uplinks_.resize(node + std::size_t{1});
  uplinks_[node].limit = uplink;
  if (uplink.kbit_s == 0) uplinks_[node] = {};
}

bool Network::enqueue(NodeIndex from, LinkId link, std::size_t bytes, Instant& leaves) {
  UplinkState& uplink = uplinks_[from];
  forget_sent(uplink.queue, leaves);
  if (uplink.queue.size() >= uplink.limit.queue_packets) return false;
  const auto bits = static_cast<std::int64_t>((bytes + kEnvelopeBytes) * 8);
  const auto takes = Duration::microseconds(bits * 1000 / uplink.limit.kbit_s);
  leaves = std::max(leaves, uplink.free_at) + takes;
  uplink.free_at = leaves;
  uplink.queue.push_back({leaves, link});
  return true;
}

Duration Network::drawn_delay() {
  const Duration delay = draw_uniform(rng_, conditions_.jitter);
  return one_in(conditions_.spike_ppm) ? delay + conditions_.spike : delay;
}

Network::Arrivals Network::carry(NodeIndex from, LinkId link, std::size_t bytes, Instant now,
                                 Duration one_way) {
  Arrivals arrivals;
  Instant leaves = now;
  if (limits(from) && !enqueue(from, link, bytes, leaves)) return arrivals;
  if (one_in(conditions_.loss_ppm)) return arrivals;
  arrivals.at[arrivals.count++] = leaves + one_way + drawn_delay();
  if (one_in(conditions_.duplicate_ppm))
    arrivals.at[arrivals.count++] = leaves + one_way + drawn_delay();
  return arrivals;
}

std::size_t Network::waiting(NodeIndex node, LinkId link, Instant now) {
  auto& queue = uplinks_[node].queue;
  forget_sent(queue, now);
  return static_cast<std::size_t>(std::count_if(
      queue.begin(), queue.end(), [&](const Packet& packet) { return packet.link == link; }));
}

}  // namespace ringway::overlay::sim
