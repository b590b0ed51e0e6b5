// Broadcasts in a simulated ring: nobody twice, nearly everybody once, whatever is lost or dead.

#include <gtest/gtest.h>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {
namespace {

class BroadcastRing {
 public:
  BroadcastRing(std::uint64_t seed, std::uint32_t loss_ppm, std::size_t nodes)
      : simulation_(options(seed, loss_ppm)), told_(nodes, 0) {
    simulation_.add_nodes(nodes, simulation_.now(), Duration::seconds(5));
    simulation_.run_for(Duration::seconds(90));
    simulation_.add_observer([this](NodeIndex node, const Event& event) {
      if (std::holds_alternative<output::BroadcastReceived>(event)) ++told_[node];
      if (const auto* const result = std::get_if<output::BroadcastMeasured>(&event))
        measured_ = *result;
    });
  }
  void publish(NodeIndex origin) {
    const std::vector<std::uint8_t> payload(100, 7);
    EXPECT_NE(
        simulation_.act(origin, [&](Overlay& overlay,
                                    Clock clock) { return overlay.broadcast(clock, payload); }),
        0U);
  }
  [[nodiscard]] std::size_t told_once() const {
    return static_cast<std::size_t>(std::count(told_.begin(), told_.end(), 1));
  }
  [[nodiscard]] bool none_told_twice() const {
    return std::all_of(told_.begin(), told_.end(), [](int times) { return times <= 1; });
  }
  [[nodiscard]] Simulation& simulation() { return simulation_; }
  [[nodiscard]] const output::BroadcastMeasured& measured() const { return measured_; }

 private:
  static Options options(std::uint64_t seed, std::uint32_t loss_ppm) {
    Options options;
    options.seed = seed;
    options.loss_ppm = loss_ppm;
    options.lookup_interval = {};
    return options;
  }

  Simulation simulation_;
  std::vector<int> told_;
  output::BroadcastMeasured measured_;
};

TEST(Broadcast, ReachesEverybodyInASecondAndNobodyTwice) {
  BroadcastRing ring(1, 0, 300);
  const std::uint64_t before = ring.simulation().statistics().messages;
  ring.publish(ring.simulation().alive()[17]);
  ring.simulation().run_for(Duration::seconds(1));
  EXPECT_EQ(ring.told_once(), 299U);
  EXPECT_TRUE(ring.none_told_twice());
  // One message and one acknowledgement each; a sample of 64 answers over some hops; heartbeats.
  EXPECT_LT(ring.simulation().statistics().messages - before, 299U * 2 + 64U * 2 * 8 + 300U * 2);
  ring.simulation().run_for(Duration::seconds(15));
  EXPECT_NEAR(ring.measured().reached, 299, 299 * 0.4);  // four standard deviations of 64 answers
}

TEST(Broadcast, ReachesEverybodyThoughOneMessageInTenIsLost) {
  BroadcastRing ring(2, 100'000, 200);
  ring.publish(ring.simulation().alive()[17]);
  ring.simulation().run_for(Duration::seconds(20));
  EXPECT_EQ(ring.told_once(), 199U);
  EXPECT_TRUE(ring.none_told_twice());
}

TEST(Broadcast, FindsItsWayAroundNodesThatHaveJustDied) {
  BroadcastRing ring(3, 0, 300);
  Simulation& simulation = ring.simulation();
  for (int i = 0; i < 30; ++i)
    simulation.crash(simulation.alive()[simulation.rng().below(simulation.alive().size())]);
  ring.publish(simulation.alive()[17]);
  simulation.run_for(Duration::seconds(20));
  EXPECT_GE(ring.told_once(), 267U);  // of 269
  EXPECT_TRUE(ring.none_told_twice());
}

}  // namespace
}  // namespace ringway::overlay::sim
