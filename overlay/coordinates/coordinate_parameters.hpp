// The numbers of network coordinates.
#pragma once

#include "base/time.hpp"

namespace ringway::overlay {

struct CoordinateParameters {
  // Near neighbours are heard from six times as often as others. As many samples of them would fit
  // a node to these four and less to the rest: 11.3 % median error on PlanetLab instead of 10.3 %.
  Duration sample_interval = Duration::seconds(25);
  float error_gain = 0.25F;  // ce and cc of Dabek et al., section 3.4
  float move_gain = 0.25F;
  // What others claim to be: nobody is surer than this, lest one end pull everybody along.
  float least_error = 0.05F;
  // A sample moves a node no further than this, and less the surer it is of its place.
  float most_move_ms = 100;
  float least_height_ms = 0.5F;
  float longest_rtt_ms = 5000;  // PlanetLab has round trips of up to 3 s
};

}  // namespace ringway::overlay
