#include "bench/session_lookup.hpp"

#include "dataplane/session_slots.hpp"
#include "dataplane/tunnel/receiver_index.hpp"

namespace ringway::bench {
namespace {

// Sessions do not age meanwhile.
constexpr Instant kNow = Instant::from_ns(0);
constexpr tunnel::Suite kSessionSuite = tunnel::Suite::kAes256Gcm;

io::MemoryPortConfig unused_port() {
  io::MemoryPortConfig config;
  config.queue_slots = config.buffer_count = 16;
  return config;
}

WorkerOptions worker_options() {
  WorkerOptions options;
  options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
  return options;
}

}  // namespace

SessionLookup::SessionLookup(std::uint32_t sessions)
    : rng_(3),
      inner_(unused_port()),
      outer_(unused_port()),
      worker_(std::make_unique<WorkerState>(worker_options(), inner_, outer_, link_, rng_)) {
  tunnel::ReceiverIndexAllocator indices(worker_->session_slot_bits, rng_);
  std::vector<ReceiverIndex> index_of;
  for (std::uint32_t peer = 0; peer < sessions; ++peer) {
    index_of.push_back(*indices.allocate({}));
    add_session({peer}, index_of.back());
  }
  for (std::size_t i = 0; i < kLookups; ++i) {
    ids_.push_back({static_cast<std::uint32_t>(rng_.below(sessions))});
    receivers_.push_back(index_of[ids_.back().value]);
  }
}

// The worker's wheel and tables point to peers, and go before them.
SessionLookup::~SessionLookup() {
  worker_.reset();
}

void SessionLookup::add_session(PeerId id, ReceiverIndex index) {
  peers_.push_back(std::make_unique<Peer>(id, true));
  worker_->peers[id.value] = peers_.back().get();
  tunnel::SessionKeys keys;
  keys.peer = id;
  keys.suite = kSessionSuite;
  keys.initiator = true;
  keys.local_index = index;
  keys.remote_index = {id.value + 1};
  keys.created = kNow;
  install_session(*worker_, std::make_unique<tunnel::Session>(keys), {}, kNow);
}

// What from_tunnel asks of a session before it opens a message with it.
std::uint64_t SessionLookup::found_by_receiver(const tunnel::Session* session,
                                               ReceiverIndex receiver) const {
  if (session == nullptr || session->local_index() != receiver) return 0;
  if (session->suite() != kSessionSuite || session->expired(kNow)) return 0;
  return session->remote_index().value;
}

std::uint64_t SessionLookup::by_receiver() {
  std::uint64_t sum = 0;
  for (const ReceiverIndex receiver : receivers_)
    sum += found_by_receiver(worker_->session_entry(receiver).session, receiver);
  return sum;
}

std::uint64_t SessionLookup::by_peer() {
  std::uint64_t sum = 0;
  for (const PeerId id : ids_) {
    const tunnel::Session* const session = sendable_session(*worker_->find_peer(id), kNow);
    if (session != nullptr) sum += session->remote_index().value;
  }
  return sum;
}

std::uint64_t SessionLookup::by_receiver_in_bursts() {
  std::uint64_t sum = 0;
  for (std::size_t done = 0; done < kLookups; done += kBurstSlots) {
    const ReceiverIndex* const burst = receivers_.data() + done;
    const tunnel::Session* sessions[kBurstSlots];
    for (std::size_t i = 0; i < kBurstSlots; ++i)
      __builtin_prefetch(&worker_->session_entry(burst[i]));
    for (std::size_t i = 0; i < kBurstSlots; ++i) {
      sessions[i] = worker_->session_entry(burst[i]).session;
      if (sessions[i] != nullptr) sessions[i]->prefetch();
    }
    for (std::size_t i = 0; i < kBurstSlots; ++i)
      sum += found_by_receiver(sessions[i], burst[i]);
  }
  return sum;
}

std::uint64_t SessionLookup::by_peer_in_bursts() {
  std::uint64_t sum = 0;
  for (std::size_t done = 0; done < kLookups; done += kBurstSlots) {
    Peer* peers[kBurstSlots];
    for (std::size_t i = 0; i < kBurstSlots; ++i) {
      peers[i] = worker_->find_peer(ids_[done + i]);
      __builtin_prefetch(&peers[i]->timers, 1);  // the line in which the session stands, too
    }
    for (const Peer* const peer : peers)
      peer->current->prefetch();
    for (Peer* const peer : peers) {
      const tunnel::Session* const session = sendable_session(*peer, kNow);
      if (session != nullptr) sum += session->remote_index().value;
    }
  }
  return sum;
}

}  // namespace ringway::bench
