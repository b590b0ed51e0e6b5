// Every number of the overlay: timeouts, bounds, sizes, with where each comes from. "Brunet" is
// Brunet 9.6.0 and its papers, whose values are kept unless a measurement asks for another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hpp"
#include "overlay/broadcast/broadcast_parameters.hpp"
#include "overlay/candidate_gate.hpp"
#include "overlay/coordinates/coordinate_parameters.hpp"
#include "overlay/crawl/crawl_parameters.hpp"
#include "overlay/dht/parameters.hpp"
#include "overlay/relay/relay_parameters.hpp"

namespace ringway::overlay {

struct Parameters {
  // Near neighbours. Brunet has 2 a side: the ring survives any single death, and a node whose two
  // neighbours of a side die at once finds the next in their last lists.
  std::size_t near_a_side = 2;
  // A changed neighbourhood is told this much later, so that a burst of changes is one message.
  Duration status_delay = Duration::milliseconds(40);
  // The first search for a missing side; doubled up to the longest. Brunet: 10 s to 60 s, which
  // alone would miss the 30 s in which half of the ring's loss must be mended.
  Duration repair_interval = Duration::seconds(1);
  Duration longest_repair_interval = Duration::seconds(60);
  // How often a node that misses nothing asks a far node whether the ring agrees (Zave: a ring of
  // correct neighbours can still be wound around twice).
  Duration ring_check_interval = Duration::seconds(600);

  // Liveness. Time is cut into turns, so that one timer serves all links of a node.
  Duration turn = Duration::milliseconds(2500);
  int near_turns = 2;    // a heartbeat to near neighbours every 5 s
  int other_turns = 12;  // to others every 30 s: what is routed over them tells sooner
  // Silence beyond the heartbeat's period that raises suspicion: delay and its jitter.
  Duration silence_grace = Duration::milliseconds(1500);
  // An unanswered probe is repeated after mean + 6 sigma of the link's round trips, within these.
  // PlanetLab has round trips of up to 3 s.
  Duration probe_timeout = Duration::seconds(1);
  Duration longest_probe_timeout = Duration::seconds(5);
  int probes = 3;  // unanswered in a row: the link is dead
  // After a neighbour's death all links are probed, for many may have gone at once, and after so
  // many of any kind within one interval; not more often.
  Duration alarm_interval = Duration::seconds(10);
  int alarm_losses = 3;

  // Links.
  std::size_t max_links = 64;                        // beside leaves
  std::size_t max_leaves = 128;                      // nodes that use this one to join
  std::size_t kept_for_neighbours = 16;              // of both together
  Duration unwanted_grace = Duration::seconds(10);   // an unwanted link may be wanted again
  Duration on_demand_idle = Duration::seconds(450);  // Brunet: 7.5 min past the last message
  // Overload. Brunet: the mean (0.99) of a queue over 4,096 packets.
  double queue_mean_weight = 0.99;
  double overload_packets = 4096;

  // Linking. Brunet: 8 restarts with random back-off of up to 5 s.
  std::size_t max_attempts = 16;                     // at a time
  Duration attempt_timeout = Duration::seconds(15);  // beyond what the driver tries for itself
  // An attempt for a near neighbour that takes longer no longer holds back those for the next.
  Duration attempt_priority = Duration::seconds(2);
  Duration first_back_off = Duration::seconds(1);
  Duration longest_back_off = Duration::seconds(60);
  // The asking end of a connect request leaves the other this long to open the link.
  Duration yield = Duration::milliseconds(1500);
  std::size_t remembered_failures = 32;

  // Joining. Brunet: 3 leaf links that go after 600 s. Well-known nodes have room for so many only,
  // and who starts at the same time waits for it.
  std::size_t leaves = 2;
  Duration join_retry = Duration::seconds(1);
  std::size_t max_known = 32;                 // well-known nodes, and members that it met
  Duration leaf_kept = Duration::seconds(3);  // beyond the first near neighbours of both sides

  // Rings that formed apart: a node that was lost may live on in another ring. One is called again
  // every so often, so that two halves find each other within twice of it.
  std::size_t remembered_nodes = 16;
  Duration reunion_interval = Duration::seconds(20);
  Duration well_known_check = Duration::seconds(300);

  // Shortcuts. Brunet: ceil(0.5 log2 N), when N > 10; each serves both ends.
  std::uint32_t shortcuts_from_log2_size = 217'706;  // log2(10), in units of 1/65536
  std::size_t shortcut_trials = 3;  // of which the one with the lowest latency stays
  Duration shortcut_search_timeout = Duration::seconds(5);
  std::size_t max_shortcuts = 24;  // asked for by this node; those asked for by others come on top

  // Routing.
  std::uint8_t ttl = 100;
  std::size_t max_in_flight = 64;  // messages that wait for the next hop's acknowledgement
  int hop_tries = 4;               // different next hops for one message
  int hop_repeats = 2;             // to the same next hop, when no other is closer
  Duration shortest_hop_timeout = Duration::milliseconds(300);
  Duration longest_hop_timeout = Duration::seconds(5);

  // Signed messages. A message is accepted for this long before and after its time.
  Duration message_lifetime = Duration::seconds(120);
  std::size_t replay_entries = 512;

  // RPC. Brunet: mean + 6 sigma, at least 2 s, 5 tries. Here hops repair themselves, which takes up
  // to some seconds where a node just died: with 2 s one lookup in 500 was asked again for nothing
  // (1,000 nodes, median session 10 min), with 4 s one in 10,000.
  std::size_t max_requests = 64;
  int request_tries = 5;
  Duration shortest_request_timeout = Duration::seconds(4);
  Duration longest_request_timeout = Duration::seconds(10);

  // Parts with numbers of their own.
  CallLimits call_limits;
  RelayParameters relay;
  BroadcastParameters broadcast;
  CrawlParameters crawl;
  CoordinateParameters coordinates;
  dht::DhtParameters dht;
};

}  // namespace ringway::overlay
