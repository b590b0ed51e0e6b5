// Messages for every node of the ring: each node hands its arc of the ring on in parts, one to each
// of its links there. A share that is not acknowledged goes another way. A random sample of those
// who were reached answers the origin, which so estimates how many they are.
//
//   1. publish()     signs; the whole ring is to be covered     4. on_hop_ack()  a share arrived
//   2. on_message()  time, arc, rate, signature; told once      5. tick()        it did not
//   3. spread()      divides the arc among the links            6. on_sample()   an answer
#pragma once

#include <optional>
#include <vector>

#include "overlay/broadcast/arc.hpp"
#include "overlay/core.hpp"
#include "overlay/replay_cache.hpp"
#include "overlay/router.hpp"
#include "overlay/wire/broadcast_message.hpp"

namespace ringway::overlay {

class Broadcast {
 public:
  Broadcast(Core& core, Router& router);

  // To all nodes but this one. The message's ID, or zero: too long, too often, or no links.
  // network_log2: in units of 1/65536.
  std::uint64_t publish(ConstBytes payload, std::uint32_t network_log2);
  void on_message(Link& link, ConstBytes bytes);
  void on_hop_ack(Link& link, std::uint16_t sequence);
  void on_sample(const wire::RoutedMessage& message);
  // What went over it goes another way.
  void on_link_gone(LinkId link);
  void tick();

  [[nodiscard]] std::size_t in_flight() const { return flights_.size(); }
  [[nodiscard]] std::size_t remembered_arcs() const { return taken_.size(); }

 private:
  struct Wave {  // a message whose shares wait for acknowledgement
    std::uint64_t message_id = 0;
    NodeId origin;
    std::uint8_t hops = 0;  // of this node's shares
    std::vector<std::uint8_t> from_origin;
  };
  using Tried = BoundedList<LinkId, 4>;
  struct Flight {
    std::uint64_t message_id = 0;
    NodeId origin;
    LinkId over;
    std::uint16_t sequence = 0;
    Arc arc;
    Instant sent;
    Instant deadline;
    int repeats = 0;  // over the same link, where no other leads there
    Tried tried;
  };
  struct Taken {
    std::uint64_t message_id = 0;
    std::uint64_t origin = 0;  // its leading bits, as in ReplayCache
    Instant when;
    Arc arc;
  };
  struct Measured {
    std::uint64_t message_id = 0;
    std::uint32_t sampling = 0;
    Instant ends;
    std::uint32_t hops_sum = 0;
    std::uint8_t hops_most = 0;
    std::vector<NodeId> answered;
  };

  enum class Admission : std::uint8_t { kNew, kMore, kRefused, kRefusedInSilence };
  [[nodiscard]] Admission admit(const wire::BroadcastMessage& message);
  [[nodiscard]] bool takes_arc(const wire::BroadcastMessage& message);
  void remember_arc(const wire::BroadcastMessage& message);
  void spread(const wire::BroadcastMessage& message, std::uint8_t hops);
  [[nodiscard]] Wave* find_wave(std::uint64_t message_id, const NodeId& origin);
  void send(const Wave& wave, const Share& share, Flight flight);
  void send_elsewhere(Flight flight);
  void forget_finished_waves();
  void answer_if_sampled(const wire::BroadcastMessage& message, std::uint8_t hops);
  void end(const Measured& measured);

  Core& core_;
  Router& router_;
  ReplayCache replays_;
  BurstLimits<NodeId> limits_;  // of origins
  std::vector<Wave> waves_;
  std::vector<Flight> flights_;
  std::vector<Taken> taken_;
  std::vector<Measured> measured_;
};

// Of 2^32, the part of the nodes that must answer for `sample` answers in a ring of that size;
// UINT32_MAX: all of them.
[[nodiscard]] std::uint32_t sampling_for(std::uint32_t sample, std::uint32_t network_log2);
// Whether a node is in the sample: a matter of both IDs, which the origin checks.
[[nodiscard]] bool is_sampled(std::uint64_t message_id, const NodeId& node, std::uint32_t sampling);

}  // namespace ringway::overlay
