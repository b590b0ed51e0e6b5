// Private overlays whose members meet in the DHT of a public one.
#include "overlay/sim/experiments/experiment.hpp"
#include "overlay/sim/private_overlay.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kMeetingLimit = Duration::seconds(300);
constexpr std::uint32_t kPublicNodes = 200;

// New nodes come to the public ring all at once and are members of a group: until the private ring
// of them is right.
Row meet_row(const ExperimentOptions& options, std::uint64_t seed, std::uint32_t members,
             const char* published) {
  const auto home = make_simulation(options, seed);
  home->add_nodes(kPublicNodes, home->now(), kJoining);
  home->run_for(kUntilSettled);
  Options unknown;
  unknown.well_known = 0;
  const auto private_nodes = make_simulation(options, seed + 1'000'000, unknown);
  PrivateOverlay group(*home, *private_nodes);
  for (std::uint32_t i = 0; i < members; ++i) {
    const NodeIndex node = home->add_node(home->now());
    home->run_until(home->now());
    group.add_member(node);
  }
  const auto time = group.time_until_right(kMeetingLimit);
  return {
      std::to_string(members) + " members", published, "s", Better::kLower, {}, {seconds(time)}};
}

std::vector<Row> run_private(const ExperimentOptions& options, std::uint64_t seed) {
  if (options.nodes > 0) return {meet_row(options, seed, options.nodes, "")};
  return {meet_row(options, seed, 2, "41 s"), meet_row(options, seed, 20, ""),
          meet_row(options, seed, 100, "")};
}

}  // namespace

std::vector<Experiment> private_experiments() {
  return {{"private",
           "nodes join a public ring of 200, meet in its DHT and form a private one: time until it "
           "is right",
           run_private}};
}

}  // namespace ringway::overlay::sim
