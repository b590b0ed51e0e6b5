// Every number of the DHT, with where each comes from. "Brunet" is Brunet 9.6.0 and its papers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hpp"

namespace ringway::overlay::dht {

// Replicas are the nodes nearest to a key: so many on each side of it, who are asked and counted.
// Eight in all, as Brunet has. A node knows four nodes a side without asking: two neighbours, and
// theirs.
inline constexpr std::size_t kReplicasASide = 4;
inline constexpr std::size_t kMaxReplicas = 2 * kReplicasASide;
// The next node of each side has the values too, by hand-over. It is not asked, but becomes a
// replica when a nearer one dies. When half of a ring vanishes at once, 2^-8 = 0.39 % of the values
// would lose eight holders: too near to the 0.5 % that are allowed, for one run has 0.2 % and the
// next 0.7 %. Of ten holders all are gone in 0.1 % of the cases.
inline constexpr std::size_t kSparesASide = 1;

// Values stay until the owner's time is over. Brunet: leases of 3,600 s, renewed at half of that.
inline constexpr Duration kLongestTtl = Duration::seconds(3600);
// How far the clocks of owner and replica may be apart, as for routed messages.
inline constexpr Duration kClockSkew = Duration::seconds(120);

struct DhtParameters {
  // What a node keeps for others.
  std::size_t max_values = 2048;         // with the largest values and credentials 2.7 MB
  std::size_t max_values_an_owner = 64;  // of them
  std::size_t max_values_a_key = 64;     // of different owners
  // A value for which this node is no longer one of the nearest goes after this long: neighbours
  // that are away for a moment come back, and those that came have it by then.
  Duration outside_kept = Duration::seconds(120);
  Duration review_interval = Duration::seconds(30);
  // Stores that others ask for: so many at once, and so many a second in the long run.
  std::uint32_t store_burst = 256;
  std::uint32_t stores_a_second = 32;
  // Of one source, in a window of this length. Its renewals and the largest burst of a client.
  std::uint32_t stores_a_source = 128;
  Duration source_window = Duration::seconds(10);

  // Hand-over. A neighbour is offered what it should hold this long after the neighbourhood
  // changed, so that a burst of changes is one offer; no more often than the interval, and again
  // some seconds later, since an offer may be lost.
  Duration offer_delay = Duration::milliseconds(500);
  Duration offer_interval = Duration::seconds(1);
  Duration offer_again = Duration::seconds(15);
  // Without any change: what a lost message left undone.
  Duration offer_refresh = Duration::seconds(300);
  Duration page_interval = Duration::milliseconds(100);  // between parts of one offer
  // A node that came nearer to a key asks its neighbours for what is there, this often, until one
  // says that this is all.
  Duration ask_interval = Duration::seconds(2);
  // A new node whose neighbours know nothing either, as where a group begins: some answers' time.
  Duration settle_time = Duration::seconds(5);
  // Of what all who knew it are gone: their loss was noticed 13 s ago at most, and owners who live
  // put their values again 10 to 20 s after they noticed, in up to four rounds.
  Duration orphaned_time = Duration::seconds(60);

  // Two nodes that create the same lease at the same time may each have some replicas, until the
  // one without a majority withdraws. So long no replica hands a new lease over, for among replicas
  // the rule decides and not who was first. All rounds of a create, with their timeouts.
  Duration unconfirmed = Duration::seconds(45);

  // Subscriptions: soft state of replicas.
  std::size_t max_subscriptions = 1024;
  std::size_t max_subscriptions_a_key = 512;
  std::size_t max_subscriptions_a_node = 32;
  Duration longest_subscription = Duration::seconds(600);
  // Notices leave so many at a time, so that the router's room is left for others.
  std::size_t notices_at_once = 24;
  Duration notice_interval = Duration::milliseconds(50);
  std::size_t max_notices = 2048;

  // A client's operations.
  std::size_t max_operations = 64;    // of which the first so many are under way, so that
  std::size_t active_operations = 6;  // their requests leave room for those of others
  int rounds = 4;  // of asking all replicas, before it says that there is no majority
  int request_tries = 2;
  Duration round_interval = Duration::seconds(2);
  std::size_t max_repairs = 8;  // stores that one read asks of replicas which lack what it found
  std::size_t max_values_read = 256;
  std::size_t remembered_values = 128;  // versions that were seen: no older one is believed
  std::size_t max_published = 64;       // values that this node renews
  std::size_t max_own_subscriptions = 32;
  Duration subscription = Duration::seconds(300);  // renewed at half of that
  // A change is told by so many replicas, of whom one may be hostile and one just gone.
  std::size_t subscribed_replicas = 3;
  // So many links lost in such a time, a quarter of all: much of the ring is gone, and maybe all
  // replicas of a value of ours. It is put again when the ring is mended (docs/OVERLAY.md: 13 s).
  std::size_t alarm_links = 4;
  Duration alarm_window = Duration::seconds(20);
  Duration renew_after_alarm = Duration::seconds(10);
};

}  // namespace ringway::overlay::dht
