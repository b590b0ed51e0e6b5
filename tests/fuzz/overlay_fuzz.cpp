// A hostile neighbour: a node with two links is given any messages over one of them, and time
// passes. Nothing may grow without bounds, and the other link stays.
//   input: repeatedly length(1) seconds(1) message(length)
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "overlay/overlay.hpp"
#include "overlay/sim/modelled_signatures.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway;
  using namespace ringway::overlay;
  const Parameters parameters;
  SeededRng rng(1);
  const NodeId self(Distance{1, 0, 0});
  sim::ModelledSigner signer(self);
  sim::ModelledSealer sealer(self, rng);
  sim::ModelledVerifier verifier;
  Overlay node(parameters, {self, {}}, signer, sealer, verifier, rng);
  Instant now = Instant::from_ns(0);
  const auto clock = [&] { return Clock{now, WallTime::from_unix_ns(now.ns())}; };
  const auto drain = [&] {
    Output output;
    while (node.poll_output(output)) {
    }
  };
  node.start(clock());
  node.link_up(clock(), {LinkId{1}, NodeId(Distance{2, 0, 0}), {}, {}, {}});
  node.link_up(clock(), {LinkId{2}, NodeId(Distance{3, 0, 0}), {}, {}, {}});
  drain();
  const std::uint8_t* const end = data + size;
  while (end - data >= 2) {
    const auto length = std::min<std::ptrdiff_t>(data[0], end - data - 2);
    now = now + Duration::milliseconds(data[1]);
    node.receive(clock(), LinkId{1}, {data + 2, static_cast<std::size_t>(length)});
    drain();
    if (node.next_deadline() <= now) node.tick(clock());
    drain();
    data += 2 + length;
    CHECK(node.links().size() <= parameters.max_links + parameters.max_leaves);
    CHECK(node.linker().attempts() <= parameters.max_attempts);
    CHECK(node.router().in_flight() <= parameters.max_in_flight);
    CHECK(node.relayed_links().peers() <= parameters.relay.max_peers);
    CHECK(node.relay_service().pairs() <= parameters.relay.max_pairs);
    CHECK(node.broadcasts().in_flight() <= parameters.broadcast.max_flights);
    CHECK(node.broadcasts().remembered_arcs() <= parameters.broadcast.remembered_arcs);
  }
  // Time was short: the other link's end never answers, but was not given the time to. Messages
  // that were passed on to it without an acknowledgement begin the probing.
  if (now < Instant::from_ns(0) + parameters.probe_timeout * parameters.probes)
    CHECK(node.links().find(NodeId(Distance{3, 0, 0})) != nullptr);
  return 0;
}
