// The numbers of relays: see overlay/parameters.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hpp"

namespace ringway::overlay {

struct RelayParameters {
  bool enabled = true;  // off: for comparison in the simulator

  // Two that want a link. The other end is asked to open it at the same time when a call was not
  // answered so soon: one round trip between the farthest of nodes.
  Duration punch_after = Duration::milliseconds(800);
  // Relays are looked for when both ends had this long: a round trip and two tries a second apart.
  Duration relay_after = Duration::seconds(2);
  Duration seek_timeout = Duration::seconds(20);

  // Relays are kept this long without a link: another one may be coming up through them.
  Duration kept_without_link = Duration::seconds(5);

  // At one of the two ends. Brunet uses 4 relays at once; two are enough where others stand by.
  std::size_t max_peers = 32;      // relayed links, and those on their way
  std::size_t active = 2;          // relays that are kept granted: one is used, one stands by
  std::size_t max_a_peer = 6;      // with those that the other end chose
  std::size_t trials_at_once = 2;  // links with the other end's neighbours, to measure them
  std::size_t trials = 6;          // of one relayed link in all
  Duration answer_timeout = Duration::seconds(4);  // of a relay that is asked
  Duration refused_for = Duration::seconds(60);    // then it may be asked again
  Duration trial_time = Duration::seconds(20);     // a link that became no relay goes then

  // A silent link makes both ends take another relay; not again before its probes had their time.
  Duration leave_again = Duration::seconds(2);

  // How both ends compare relays: each sends the other what it measured, soon after the link came
  // up and then more rarely.
  Duration first_exchange = Duration::seconds(3);
  Duration longest_exchange = Duration::seconds(60);
  // Another relay is taken when it is better by a quarter and 5 ms, twice in a row.
  int better_percent = 25;
  Duration better_at_least = Duration::milliseconds(5);
  int better_rounds = 2;
  // What a lost message costs: the wait for an acknowledgement, of some hundred milliseconds.
  Duration loss_cost = Duration::milliseconds(500);
  // A relay with no room left is worth this much more round trip; one that serves nobody, none.
  Duration load_cost = Duration::milliseconds(40);
  // A link as young as this may go as it came: churned nodes are the youngest.
  std::uint16_t young_s = 60;
  Duration young_cost = Duration::milliseconds(20);

  // A direct link is tried again, by both ends at once.
  Duration first_direct_retry = Duration::seconds(30);
  Duration longest_direct_retry = Duration::seconds(900);

  // At the relay. A pair that no end asks for again ends.
  std::size_t max_pairs = 256;
  std::size_t max_pairs_a_node = 48;
  Duration lease = Duration::seconds(150);
  Duration renewal = Duration::seconds(50);
  Duration offer_timeout = Duration::seconds(4);
  double loaded_packets = 512;  // mean queue of a link from which on new pairs are refused
};

}  // namespace ringway::overlay
