#include "overlay/relay/relay_choice.hpp"

#include <algorithm>
#include <cmath>

namespace ringway::overlay {
namespace {

constexpr float kLossUnits = 255;
// As far as PlanetLab's nodes are: neither hope nor despair.
constexpr Duration kUnknownLeg = Duration::milliseconds(300);

Duration rtt_of(const Link& link) {
  return link.rtt.known() ? link.rtt.mean() : kUnknownLeg;
}

std::uint16_t age_of(const Link& link, Instant now) {
  const std::int64_t seconds = (now - link.up_since).count_ms() / 1000;
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>(seconds, 0, UINT16_MAX));
}

Duration share(Duration whole, float part) {
  const std::int64_t whole_us = whole.count_ns() / 1000;
  return Duration::microseconds(
      static_cast<std::int64_t>(static_cast<float>(whole_us) * std::clamp(part, 0.0F, 1.0F)));
}

}  // namespace

RelayLegs legs_unknown(const Link& near, std::uint8_t load, Instant now) {
  return {rtt_of(near), kUnknownLeg, near.loss, 0, age_of(near, now), load};
}

RelayLegs legs_over(const Link& near, const wire::Neighbour& far, std::uint8_t load, Instant now) {
  RelayLegs legs = legs_unknown(near, load, now);
  if (far.rtt_ms != wire::kUnknownRtt) legs.far_rtt = Duration::milliseconds(far.rtt_ms);
  legs.far_loss = static_cast<float>(far.loss) / kLossUnits;
  legs.age_s = std::min(legs.age_s, far.age_s);
  return legs;
}

Duration relay_cost(const RelayLegs& legs, const RelayParameters& parameters) {
  const float arrives = (1 - legs.near_loss) * (1 - legs.far_loss);
  Duration cost = legs.near_rtt + legs.far_rtt + share(parameters.loss_cost, 1 - arrives) +
                  share(parameters.load_cost, static_cast<float>(legs.load) / kLossUnits);
  if (legs.age_s < parameters.young_s) cost = cost + parameters.young_cost;
  return cost;
}

bool clearly_better(Duration cost, Duration than, const RelayParameters& parameters) {
  return cost + parameters.better_at_least < than &&
         cost.count_ns() / 100 * (100 + parameters.better_percent) < than.count_ns();
}

wire::Neighbour describe(const Link& link, Instant now) {
  wire::Neighbour neighbour;
  neighbour.node = link.node;
  neighbour.wants = link.ours | link.theirs;
  neighbour.age_s = age_of(link, now);
  neighbour.rtt_ms = wire::kUnknownRtt;
  if (link.rtt.known()) {
    neighbour.rtt_ms = static_cast<std::uint16_t>(
        std::clamp<std::int64_t>(link.rtt.mean().count_ms(), 0, wire::kUnknownRtt - 1));
  }
  neighbour.loss = static_cast<std::uint8_t>(std::lround(link.loss * kLossUnits));
  return neighbour;
}

}  // namespace ringway::overlay
