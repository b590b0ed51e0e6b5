#include "overlay/sim/node_clocks.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::int64_t kEpochNs = 1'767'225'600'000'000'000;  // 2026-01-01, when all runs begin
constexpr std::int64_t kPpmOfAll = 1'000'000;

}  // namespace

void NodeClocks::set(NodeIndex node, Instant now, const ClockError& error) {
  const Instant local = read(node, now).now;
  if (node >= states_.size()) states_.resize(node + std::size_t{1});
  states_[node] = {error, now, local};
}

Clock NodeClocks::read(NodeIndex node, Instant now) const {
  if (right(node)) return {now, WallTime::from_unix_ns(kEpochNs + now.ns())};
  const State& state = states_[node];
  const std::int64_t passed = (now - state.since).count_ns();
  // In two steps: a product of days in nanoseconds and a drift of 10 % needs more than 64 bits.
  const std::int64_t gained = passed / kPpmOfAll * state.error.drift_ppm +
                              passed % kPpmOfAll * state.error.drift_ppm / kPpmOfAll;
  const Instant local = state.then_local + Duration::nanoseconds(passed + gained);
  return {local, WallTime::from_unix_ns(kEpochNs + local.ns() + state.error.skew.count_ns())};
}

Instant NodeClocks::when(NodeIndex node, Instant local) const {
  if (right(node) || local >= Instant::never()) return local;
  const State& state = states_[node];
  const std::int64_t to_pass = (local - state.then_local).count_ns();
  const std::int64_t rate = kPpmOfAll + state.error.drift_ppm;
  const std::int64_t passed = to_pass / rate * kPpmOfAll + to_pass % rate * kPpmOfAll / rate;
  return state.since + Duration::nanoseconds(passed + 1);  // rounded up: never before
}

}  // namespace ringway::overlay::sim
