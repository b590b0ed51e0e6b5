#include "overlay/sim/churn.hpp"

#include "overlay/sim/distributions.hpp"

namespace ringway::overlay::sim {

Churn::Churn(Simulation& simulation, const ChurnOptions& options)
    : simulation_(simulation), options_(options), rng_(simulation.rng().next_u64()) {
  if (options_.median_session > Duration{}) next_ = simulation.now() + options_.begins;
}

void Churn::draw_next() {
  // The mean of an exponential distribution is its median over ln 2, 0.693147.
  const std::int64_t mean_session_ns = options_.median_session.count_ns() / 693'147 * 1'000'000;
  const auto alive = static_cast<std::int64_t>(simulation_.alive().size());
  next_ = next_ + draw_exponential(rng_, Duration::nanoseconds(mean_session_ns / (alive + 1)));
}

void Churn::replace_one() {
  const std::vector<NodeIndex>& alive = simulation_.alive();
  if (alive.size() <= options_.permanent) return;
  NodeIndex goes = alive[rng_.below(alive.size())];
  while (goes < options_.permanent)
    goes = alive[rng_.below(alive.size())];
  if (rng_.below(100) < options_.crash_percent) {
    simulation_.crash(goes);
  } else {
    simulation_.leave(goes);
  }
  simulation_.add_node(simulation_.now());
}

void Churn::run_until(Instant end) {
  while (next_ <= end) {
    simulation_.run_until(next_);
    replace_one();
    draw_next();
  }
  simulation_.run_until(end);
}

}  // namespace ringway::overlay::sim
