// Everything one worker owns. The stages are free functions over it; nothing here is shared with
// another thread but the counters (read by control) and the rings of the link.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/counters.hpp"
#include "base/lazy_array.hpp"
#include "base/rng.hpp"
#include "dataplane/control_api.hpp"
#include "dataplane/drop_reasons.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/internet_side.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/peer.hpp"
#include "dataplane/shaper.hpp"
#include "dataplane/stage_clock.hpp"
#include "dataplane/staging.hpp"
#include "dataplane/timer_wheel.hpp"
#include "dataplane/tunnel/allowed_ips.hpp"
#include "dataplane/tunnel/cookie.hpp"
#include "dataplane/tunnel/crypto_batch.hpp"
#include "dataplane/tunnel/handshaker.hpp"

namespace ringway {

// Slots taken from a port at once, and segments sealed or opened at once. A vector of 256 covers
// four full trains and keeps the descriptors within the L2 cache.
inline constexpr std::size_t kBurstSlots = 64;
inline constexpr std::size_t kVectorSegments = 256;

// Sources whose cookie replies are counted: a quarter of a second of 260,000 new ones a second.
inline constexpr std::size_t kCookieReplyBuckets = 65536;

// The largest packet that a bandwidth limit holds back, where the inner port's are not larger: what
// a host sends on Ethernet.
inline constexpr std::uint32_t kLeastHeldPacketBytes = 1500;

struct WorkerOptions {
  tunnel::PublicKey own_key{};
  std::optional<tunnel::CookieSeed> cookie_seed{};  // not set: its own
  unsigned session_slot_bits = 20;                  // as the ReceiverIndexAllocator's
  std::uint32_t max_peers = 1U << 20;
  std::uint32_t max_staged_packets = 256;  // of all peers together
  // Likewise, held back by bandwidth limits: full packets of 20 ms at 10 Gbit/s, four times CoDel's
  // target. 25 MB, touched as it is used.
  std::uint32_t max_held_packets = 16384;
  tunnel::CryptoBatch::Selection crypto = tunnel::CryptoBatch::Selection::kMeasure;
};

struct WorkerCounters {
  DropCounters drops;
  Counter turns;           // of the loop
  Counter idle_turns;      // of these, without a packet
  Counter sleeps;          // times it waited in epoll
  Counter inner_packets;   // sealed: IP packets, not keepalives
  Counter outer_packets;   // opened and accepted, keepalives included
  Counter handshakes_in;   // passed to control
  Counter cookie_replies;  // sent
  Counter keepalives_out;
  Counter under_load;   // times the state was entered
  Counter handed_over;  // to other workers, slots
};

// Handshake messages of a burst whose mac1 is to be computed, in its buffers.
struct OfferedHandshakes {
  std::array<ConstBytes, tunnel::CookieChecker::kMac1Batch> messages;
  std::array<tunnel::DatagramSource, tunnel::CookieChecker::kMac1Batch> sources;
  std::size_t count = 0;
};

struct WorkerState {
  WorkerState(const WorkerOptions& options, io::Port& inner_port, io::Port& outer_port,
              ControlLink& control_link, Rng& random)
      : inner(inner_port),
        outer(outer_port),
        link(control_link),
        rng(random),
        jitter_rng(random.next_u64()),
        peers(options.max_peers),
        sessions(std::size_t{1} << options.session_slot_bits),
        session_slot_bits(options.session_slot_bits),
        session_mask((1U << options.session_slot_bits) - 1),
        owners(options.max_peers),
        allowed_ips(std::make_shared<const tunnel::AllowedIps>()),
        staging(options.max_staged_packets),
        shaper(options.max_held_packets,
               std::max<std::uint32_t>(inner_port.capabilities().mtu, kLeastHeldPacketBytes)),
        crypto(options.crypto),
        cookie_checker(options.cookie_seed
                           ? tunnel::CookieChecker(options.own_key, *options.cookie_seed, random)
                           : tunnel::CookieChecker(options.own_key, random)),
        handshake_limiter(random),
        cookie_reply_limiter(random, kCookieReplyBuckets,
                             tunnel::HandshakeRateLimiter::WhenFull::kReplace) {}

  io::Port& inner;                         // plaintext side: TUN
  io::Port& outer;                         // sealed side: UDP
  std::unique_ptr<InternetSide> internet;  // null: the kernel forwards
  Handoff* handoff = nullptr;              // null: the only worker
  ControlLink& link;
  Rng& rng;
  // When timers fire is no secret, and `rng` may be a system call.
  SeededRng jitter_rng;

  // By PeerId and by slot of the receiver index. A message's session and its peer stand together,
  // so that both are on their way before either has been looked at.
  struct SessionEntry {
    tunnel::Session* session;
    Peer* peer;
  };
  LazyArray<Peer*> peers;
  LazyArray<SessionEntry> sessions;
  unsigned session_slot_bits;
  std::uint32_t session_mask;
  LazyArray<WorkerId> owners;  // of peers; the first worker's where nobody has said

  std::shared_ptr<const tunnel::AllowedIps> allowed_ips;
  Staging staging;
  Shaper shaper;
  TimerWheel wheel;
  tunnel::CryptoBatch crypto;
  tunnel::CookieChecker cookie_checker;
  tunnel::HandshakeRateLimiter handshake_limiter;
  // Spoofed initiations must neither cost a reply each nor make us flood whom they name.
  tunnel::HandshakeRateLimiter cookie_reply_limiter;
  std::array<Slot, kBurstSlots> cookie_replies;  // made, not sent yet
  std::size_t cookie_reply_count = 0;
  OfferedHandshakes offered_handshakes;
  Instant under_load_until = Instant::distant_past();
  std::size_t handshakes_under_load = 0;  // with a valid mac1, since it was last prolonged
  tunnel::Session* retired = nullptr;     // on their way back to control
  bool events_pushed = false;             // control is to be woken at the end of the turn
  bool stop_requested = false;
  WorkerCounters counters;
  StageClock* stage_clock = nullptr;  // while it is measured

  [[nodiscard]] Peer* find_peer(PeerId id) {
    return id.value < peers.size() ? peers[id.value] : nullptr;
  }
  [[nodiscard]] SessionEntry& session_entry(ReceiverIndex index) {
    return sessions[index.value & session_mask];
  }
  void drop(DropReason reason, std::uint64_t packets = 1) { counters.drops.add(reason, packets); }
  // False, and the event is lost, when the ring is full: only for what will be said again.
  bool push_event(Event&& event) {
    events_pushed = true;
    return link.events.try_push(std::move(event));
  }
};

}  // namespace ringway
