// Network coordinates: nodes find places that fit their round trips, and those that lie about
// theirs move nobody far.

#include <cmath>

#include <gtest/gtest.h>

#include "overlay/coordinates/coordinates.hpp"
#include "overlay/sim/modelled_signatures.hpp"

namespace ringway::overlay {
namespace {

class Coordinated : public testing::Test {
 protected:
  struct Node {
    explicit Node(std::uint64_t number)
        : id(Distance{number, 0, 0}),
          rng(number),
          signer(id),
          sealer(id, rng),
          core(parameters, {id, {}}, signer, sealer, verifier, rng),
          coordinates(core) {}
    Parameters parameters;
    NodeId id;
    SeededRng rng;
    sim::ModelledSigner signer;
    sim::ModelledSealer sealer;
    sim::ModelledVerifier verifier;
    Core core;
    Coordinates coordinates;
  };
  static void measure(Node& a, Node& b, Duration rtt) {
    const Coordinate of_a = a.core.coordinate;
    a.coordinates.sample(rtt, b.core.coordinate);
    b.coordinates.sample(rtt, of_a);
  }
  static double moved_ms(const Coordinate& from, const Coordinate& to) {
    return std::hypot(from.x - to.x, from.y - to.y, from.height - to.height) /
           Coordinate::kUnitsPerMs;
  }
};

TEST_F(Coordinated, ANodeThatMeasuredNothingSaysSo) {
  const Node node(1);
  EXPECT_FALSE(node.core.coordinate.known());
}

TEST_F(Coordinated, TwoNodesMoveApartByTheirRoundTrip) {
  Node a(1);
  Node b(2);
  for (int i = 0; i < 100; ++i)
    measure(a, b, Duration::milliseconds(80));
  EXPECT_NEAR(predict(a.core.coordinate, b.core.coordinate).count_s(), 0.080, 0.002);
  EXPECT_TRUE(a.core.coordinate.known());
  EXPECT_LT(a.core.coordinate.error, 20);
}

TEST_F(Coordinated, ATriangleAndANodeBehindASlowLineFindTheirPlaces) {
  // Three nodes 100 ms apart, and one 200 ms from each of them: no plane has such places, but one
  // with heights.
  Node nodes[] = {Node(1), Node(2), Node(3), Node(4)};
  const auto rtt = [](std::size_t a, std::size_t b) {
    return Duration::milliseconds(a == 3 || b == 3 ? 200 : 100);
  };
  for (int round = 0; round < 500; ++round)
    for (std::size_t a = 0; a < 4; ++a)
      for (std::size_t b = a + 1; b < 4; ++b)
        measure(nodes[a], nodes[b], rtt(a, b));
  for (std::size_t a = 0; a < 4; ++a)
    for (std::size_t b = a + 1; b < 4; ++b)
      EXPECT_NEAR(predict(nodes[a].core.coordinate, nodes[b].core.coordinate).count_s(),
                  rtt(a, b).count_s(), rtt(a, b).count_s() * 0.1)
          << a << " " << b;
}

TEST_F(Coordinated, ALiarThatClaimsToBeSureMovesANodeOnlySoFar) {
  Node a(1);
  Node b(2);
  for (int i = 0; i < 100; ++i)
    measure(a, b, Duration::milliseconds(80));
  const Coordinate before = a.core.coordinate;
  Coordinate lie;
  lie.x = Coordinate::kMost;
  lie.y = -Coordinate::kMost;
  lie.height = 0;
  lie.error = 0;
  a.coordinates.sample(Duration::milliseconds(1), lie);
  const CoordinateParameters p;
  // Its share of the error rises by no more than a half of the gain.
  EXPECT_LT(moved_ms(before, a.core.coordinate), p.most_move_ms * 0.3);
  EXPECT_GT(moved_ms(before, a.core.coordinate), 0);
}

TEST_F(Coordinated, ImpossibleRoundTripsAreNotSamples) {
  Node a(1);
  const Coordinate other{100, 100, 10, 50};
  a.coordinates.sample(Duration{}, other);
  a.coordinates.sample(Duration::seconds(60), other);
  EXPECT_FALSE(a.core.coordinate.known());
}

}  // namespace
}  // namespace ringway::overlay
