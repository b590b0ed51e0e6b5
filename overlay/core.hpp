// What all parts of a node's overlay share: who it is, what it was given, its links, and what it
// wants done. The parts (linking, routing, ...) each hold their own state and a reference to this.
#pragma once

#include <algorithm>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "overlay/coordinates/coordinate.hpp"
#include "overlay/crypto.hpp"
#include "overlay/drops.hpp"
#include "overlay/link_table.hpp"
#include "overlay/output_queue.hpp"
#include "overlay/parameters.hpp"
#include "overlay/relay/relay_messages.hpp"
#include "overlay/wire/routed_message.hpp"

namespace ringway::overlay {

// Both clocks at the moment of an input: deadlines are of the first, signatures of the second.
struct Clock {
  Instant now;
  WallTime wall;
};

struct Identity {
  NodeId node;
  wire::GroupId group{};
};

struct Core {
  Core(const Parameters& parameters_given, const Identity& identity_given, Signer& signer_given,
       Sealer& sealer_given, Verifier& verifier_given, Rng& rng_given)
      : parameters(parameters_given),
        identity(identity_given),
        signer(signer_given),
        sealer(sealer_given),
        verifier(verifier_given),
        rng(rng_given) {}

  const Parameters& parameters;
  const Identity identity;
  Signer& signer;
  Sealer& sealer;
  Verifier& verifier;
  Rng& rng;
  Clock clock;            // of the input that is being handled
  Candidates candidates;  // at which this node may be reached
  Networks networks;      // where it is
  LinkTable links;
  OutputQueue output;
  DropCounters drops;
  std::uint32_t list_version = 1;           // of this node's near neighbours
  std::uint32_t neighbourhood_version = 0;  // another when they, or those that they name, may be
  std::uint8_t network_size = 0;  // this node's own estimate: log2, in eighths; 0 while unknown
  Coordinate coordinate;          // this node's place in the space of round-trip times
  Instant deadline = Instant::never();

  [[nodiscard]] const NodeId& self() const { return identity.node; }
  [[nodiscard]] Instant now() const { return clock.now; }
  // tick() is due then at the latest.
  void wake_at(Instant when) { deadline = std::min(deadline, when); }
  // Up to `most`, so that nodes which saw the same do not all act at the same moment.
  [[nodiscard]] Duration jitter(Duration most) {
    return Duration::nanoseconds(
        static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most.count_ns()) + 1)));
  }

  void send(const Link& link, const wire::LinkMessage& message) { emit_to(link, message); }
  void send(const Link& link, const wire::RelayMessage& message) { emit_to(link, message); }
  [[nodiscard]] wire::Heartbeat heartbeat(const Link& link) const {
    return {link.ours, network_size, list_version, coordinate};
  }
  // Changes what this end wants of the link and tells the other.
  void set_wants(Link& link, std::uint8_t wants) {
    if (link.ours == wants) return;
    link.ours = wants;
    if (!link.wanted()) link.unwanted_since = now();
    send(link, heartbeat(link));
  }

 private:
  template <typename Message>
  void emit_to(const Link& link, const Message& message) {
    wire::ByteWriter writer;
    wire::emit(writer, message);
    output.send(link.id, writer.view());
  }
};

}  // namespace ringway::overlay
