// Which relay is better: a cost in time, made of what both ends measured of their legs. What a
// relay says of itself, its load, only adds to it: it never makes a slow relay a fast one.
#pragma once

#include "overlay/link.hpp"
#include "overlay/relay/relay_messages.hpp"
#include "overlay/relay/relay_parameters.hpp"

namespace ringway::overlay {

struct RelayLegs {
  Duration near_rtt;  // measured by this end
  Duration far_rtt;   // by the other
  float near_loss = 0;
  float far_loss = 0;
  std::uint16_t age_s = 0;  // of the younger leg
  std::uint8_t load = 0;    // of 255
};

[[nodiscard]] RelayLegs legs_over(const Link& near, const wire::Neighbour& far, std::uint8_t load,
                                  Instant now);
// One of which the other end said nothing is not preferred to any.
[[nodiscard]] RelayLegs legs_unknown(const Link& near, std::uint8_t load, Instant now);

[[nodiscard]] Duration relay_cost(const RelayLegs& legs, const RelayParameters& parameters);
// Whether it is worth a change: by a share and by an amount.
[[nodiscard]] bool clearly_better(Duration cost, Duration than, const RelayParameters& parameters);

// What this end says of its leg.
[[nodiscard]] wire::Neighbour describe(const Link& link, Instant now);

}  // namespace ringway::overlay
