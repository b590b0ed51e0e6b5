// Datagrams in fragments, on the NAT's slow path. Only the first fragment has the ports by which a
// packet is translated; here they are remembered, so that the later ones are translated alike, and
// later fragments that come before the first are held until it comes. Nothing is put together.
//
//   later fragment ──► waiting ──first comes──► known ──last byte seen──► forgotten
//                      (held)                   (passed on as they come)
//          any of both ──overlap, contradiction, no room to hold──► poisoned ──age──► forgotten
//
// A datagram that loses a fragment here is lost as a whole, so all of it is dropped. One table a
// direction, so that strangers cannot use up the subscribers' room; within it every source has its
// share. When the table is full, the oldest datagram goes: the fragments of one follow each other
// within milliseconds, and a flood then only shortens how long they may take.
//
// Owned by one worker. Sources: RFC 4787 REQ-14, RFC 1858, 3128, 5722 and 8200 section 4.5.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/nat/flow.hpp"
#include "dataplane/nat/identification.hpp"
#include "dataplane/nat/keyed_hash.hpp"

namespace ringway::nat {

struct FragmentLimits {
  std::uint32_t datagrams = 2048;
  std::uint32_t datagrams_per_source = 128;
  std::uint32_t held = 512;  // fragments, each in a buffer of held_bytes
  std::uint32_t held_per_source = 64;
  std::uint32_t held_bytes = 2048;
  // From the first fragment seen, and again from the first of the datagram. Far below the 30 s of
  // Linux and the 60 s of RFC 8200: an identification comes back after seconds (RFC 4963).
  Duration lifetime = Duration::seconds(2);
};

class Fragments {
 public:
  enum class Verdict : std::uint8_t {
    kPass,  // translate it now
    kHeld,  // copied; comes out of pop_released() or is dropped
    kDrop,
  };
  // A fragment that was held, its first having passed.
  struct Released {
    Bytes packet;  // as it came; valid until the next pop_released()
    PeerId owner;
    Flow flow;  // as accept() completes it
  };
  struct Counts {
    std::uint64_t held = 0;       // now
    std::uint64_t expired = 0;    // held ones whose first never came
    std::uint64_t discarded = 0;  // held ones dropped for want of room or for contradictions
  };

  // fresh: gives every datagram an identification of its own; null: they keep theirs.
  Fragments(const FragmentLimits& limits, Rng& rng, Identifications* fresh);

  // `flow` is a fragment's, `owner` the subscriber it is from, none() for the outside. On kPass the
  // flow has what its datagram's first fragment has: protocol, ports, ICMP type; and the
  // identification that all fragments of the datagram are to leave with.
  [[nodiscard]] Verdict accept(PeerId owner, ConstBytes packet, Flow& flow, Instant now);
  // After each accept() of a first fragment, until false. By offset.
  [[nodiscard]] bool pop_released(Released& released);

  // Forgets what is older than its lifetime, a bounded number at a call. Due at next_deadline().
  void tick(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  // What is held of a subscriber that is gone.
  void remove_owner(PeerId owner);

  [[nodiscard]] std::uint32_t datagrams() const { return datagrams_in_use_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kKeyWords = 6;
  // Runs of bytes seen of a datagram. In order there is one; more gaps than this have no good
  // cause.
  static constexpr std::size_t kMaxRuns = 8;
  static constexpr std::size_t kSourceBuckets = 1024;

  using Key = std::array<std::uint64_t, kKeyWords>;
  struct Run {
    std::uint16_t begin = 0;
    std::uint16_t end = 0;
  };
  enum class State : std::uint8_t { kWaiting, kKnown, kPoisoned };
  struct Datagram {
    Key key{};
    Instant deadline;
    std::uint32_t next_in_bucket = kNone;
    std::uint32_t older = kNone;  // in the list of its state
    std::uint32_t newer = kNone;
    std::uint32_t held_head = kNone;  // by offset
    std::uint32_t identification = 0;
    std::uint16_t source_bucket = 0;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint16_t end = 0;  // of the datagram; 0: its last fragment was not seen
    std::uint8_t protocol = 0;
    std::uint8_t icmp_type = 0;
    std::uint8_t runs_in_use = 0;
    State state = State::kWaiting;
    std::array<Run, kMaxRuns> runs{};
  };
  struct Held {
    std::uint32_t next = kNone;
    std::uint16_t bytes = 0;
    std::uint16_t source_bucket = 0;
    PeerId owner;
    Flow flow;
  };
  struct List {
    std::uint32_t oldest = kNone;
    std::uint32_t newest = kNone;
  };
  struct Share {
    std::uint16_t datagrams = 0;
    std::uint16_t held = 0;
  };
  enum class Placed : std::uint8_t { kNew, kDuplicate, kContradiction };

  [[nodiscard]] static Key key_of(PeerId owner, const std::uint8_t* packet, const Flow& flow);
  [[nodiscard]] std::uint16_t source_bucket_of(const Key& key) const;
  [[nodiscard]] std::uint32_t& bucket_of(const Key& key);
  [[nodiscard]] std::uint32_t find(const Key& key, Instant now);
  [[nodiscard]] std::uint32_t create(const Key& key, const std::uint8_t* packet, const Flow& flow,
                                     Instant now);
  [[nodiscard]] static Placed place(Datagram& datagram, const Flow& flow, std::size_t data_bytes);
  [[nodiscard]] static bool add_run(Datagram& datagram, Run run);
  [[nodiscard]] static bool complete(const Datagram& datagram);
  [[nodiscard]] bool hold(std::uint32_t datagram_index, PeerId owner, ConstBytes packet,
                          const Flow& flow);
  void release_held(Datagram& datagram);
  void drop_held(Datagram& datagram, std::uint64_t& count);
  void free_held(std::uint32_t index);
  void enter(std::uint32_t index, State state, Instant deadline);
  void leave(std::uint32_t index);
  void poison(std::uint32_t index);
  void forget(std::uint32_t index, std::uint64_t& count);
  void evict_oldest();
  static void complete_flow(const Datagram& datagram, Flow& flow);
  [[nodiscard]] List& list_of(State state) { return lists_[static_cast<std::size_t>(state)]; }
  [[nodiscard]] Bytes buffer(std::uint32_t index) {
    return {memory_.get() + std::size_t{index} * limits_.held_bytes, limits_.held_bytes};
  }

  FragmentLimits limits_;
  KeyedHash hash_;
  Identifications* fresh_;
  std::vector<std::uint32_t> buckets_;
  std::vector<Datagram> datagrams_;
  std::uint32_t free_datagram_ = kNone;
  std::uint32_t datagrams_in_use_ = 0;
  std::array<List, 3> lists_{};  // by State, oldest first

  std::vector<Held> held_;
  std::unique_ptr<std::uint8_t[]> memory_;
  std::uint32_t free_held_ = kNone;
  List released_;
  std::uint32_t lent_ = kNone;  // given out by pop_released()
  std::vector<Share> shares_;
  Counts counts_;
};

}  // namespace ringway::nat
