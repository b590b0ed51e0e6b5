#include "dataplane/tunnel/handshaker.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include <sodium.h>

#include "base/check.hpp"
#include "base/counters.hpp"
#include "dataplane/tunnel/cookie.hpp"
#include "dataplane/tunnel/noise.hpp"

namespace ringway::tunnel {
namespace {

// A peer's deadlines are handled this many peers a tick, so that a node with very many peers that
// wakes from suspension does not stop its control thread for seconds.
constexpr int kMaxPeersPerTick = 64;

// Our wish for a session: from the first request until one is there, or until we give up.
struct Attempt {
  bool active = false;
  bool answered = false;       // the peer opened a session instead: no further retry
  bool transmitted = false;    // an initiation went out; otherwise the first one is being delayed
  bool retransmitted = false;  // never reset by new data
  int retries = 0;
  Instant window_began;
  Instant transmitted_at;
  Instant deadline;
};

struct Peer {
  Peer(PeerId peer_id, const PublicKey& key) : id(peer_id), cookies(key) {
    identity.public_key = key;
  }

  PeerId id;
  RemoteIdentity identity;
  CookieJar cookies;
  Suite suite = Suite::kChaCha20Poly1305;
  bool ringway = false;
  std::optional<WorkerId> owner;
  Tai64n last_timestamp_sent{};
  Tai64n last_timestamp_received{};
  Instant last_initiation_accepted = Instant::distant_past();
  Instant last_message_sent = Instant::distant_past();
  Instant erase_at = Instant::never();
  Instant scheduled_at = Instant::never();  // its entry in State::deadlines
  Attempt attempt;
  std::unique_ptr<InitiatorState> pending;  // our initiation that waits for its response
  ReceiverIndex answerable;  // sender index of our last message: cookie replies name it
};

// Keyed, because whoever offers static keys may have chosen them.
class PublicKeyHash {
 public:
  explicit PublicKeyHash(Rng& rng) { rng.fill(seed_); }
  std::size_t operator()(const PublicKey& key) const {
    std::uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, key.data(), key.size(), seed_.data());
    return load_le<std::uint64_t>(hash);
  }

 private:
  std::array<std::uint8_t, crypto_shorthash_KEYBYTES> seed_{};
};

template <std::size_t kSize>
std::span<std::uint8_t, kSize> resize_to(HandshakeBytes& message) {
  static_assert(kSize <= kMaxHandshakeBytes);
  message.length = static_cast<std::uint8_t>(kSize);
  return std::span(message.data).template first<kSize>();
}

}  // namespace

struct Handshaker::State {
  State(const PrivateKey& private_key, const Tai64n& last_sent,
        ReceiverIndexAllocator& index_allocator, Rng& random)
      : local(private_key),
        newest_timestamp_sent(last_sent),
        indices(index_allocator),
        rng(random),
        by_key(0, PublicKeyHash(random)) {}

  // Messages, in the order in which a handshake sees them.
  HandshakeVerdict dispatch(Instant now, ConstBytes message, const DatagramSource& from,
                            WorkerId arrived_at);
  void initiate(Peer& peer, Instant now, WallTime wall);
  HandshakeVerdict handle_initiation(Instant now, Suite suite, InitiationView message,
                                     const DatagramSource& from, WorkerId arrived_at);
  [[nodiscard]] bool our_initiation_wins(const Peer& peer, Instant now) const;
  HandshakeVerdict respond(Peer& peer, Instant now, ResponderState& responder,
                           const DatagramSource& from);
  HandshakeVerdict handle_response(Instant now, Suite suite, ResponseView message,
                                   const DatagramSource& from);
  HandshakeVerdict handle_cookie_reply(Instant now, Suite suite, ConstBytes message);
  void install(Peer& peer, Instant now, const net::Endpoint* answered, Suite suite,
               ReceiverIndex local_index, ReceiverIndex remote_index, TransportKeys&& keys);

  // Timers.
  [[nodiscard]] Instant next_retry(Instant now);
  void attempt_deadline(Peer& peer, Instant now, WallTime wall);
  void reschedule(Peer& peer);

  // What a handshake holds.
  [[nodiscard]] Tai64n next_timestamp(Peer& peer, WallTime wall);
  void make_answerable(Peer& peer, ReceiverIndex index);
  void forget_answerable(const Peer& peer);
  void drop_pending(Peer& peer);

  [[nodiscard]] static WorkerId owner_of(const Peer& peer) {
    return peer.owner.value_or(WorkerId{});
  }
  [[nodiscard]] Peer* find(PeerId id) {
    return id.value < by_id.size() ? by_id[id.value].get() : nullptr;
  }
  [[nodiscard]] Peer* find(ReceiverIndex index) {
    const auto found = by_index.find(index);
    return found == by_index.end() ? nullptr : find(found->second);
  }
  void emit(HandshakeOutput&& output) { outputs.push_back(std::move(output)); }

  LocalIdentity local;
  Tai64n newest_timestamp_sent;
  ReceiverIndexAllocator& indices;
  Rng& rng;
  std::vector<std::unique_ptr<Peer>> by_id;
  std::unordered_map<PublicKey, PeerId, PublicKeyHash> by_key;
  std::unordered_map<ReceiverIndex, PeerId> by_index;  // at most one entry a peer
  std::set<std::pair<Instant, PeerId>> deadlines;      // at most one entry a peer
  std::vector<HandshakeOutput> outputs;
  std::size_t outputs_taken = 0;
  std::array<Counter, kHandshakeVerdictCount> verdicts;
};

const char* verdict_label(HandshakeVerdict verdict) {
  switch (verdict) {
    case HandshakeVerdict::kAccepted:
      return "accepted";
    case HandshakeVerdict::kMalformed:
      return "malformed";
    case HandshakeVerdict::kUnknownPeer:
      return "unknown_peer";
    case HandshakeVerdict::kUnknownIndex:
      return "unknown_index";
    case HandshakeVerdict::kWrongSuite:
      return "wrong_suite";
    case HandshakeVerdict::kDecryptFailed:
      return "decrypt_failed";
    case HandshakeVerdict::kReplayedTimestamp:
      return "replayed_timestamp";
    case HandshakeVerdict::kTooSoon:
      return "too_soon";
    case HandshakeVerdict::kCrossed:
      return "crossed";
    case HandshakeVerdict::kNoIndex:
      return "no_index";
  }
  return "unknown";
}

// --- messages --------------------------------------------------------------------------------

HandshakeVerdict Handshaker::State::dispatch(Instant now, ConstBytes message,
                                             const DatagramSource& from, WorkerId arrived_at) {
  MessageHeader header{};
  if (!parse_message_header(message, header)) return HandshakeVerdict::kMalformed;
  switch (header.type) {
    case MessageType::kInitiation:
      if (message.size() != InitiationLayout::kSize) break;
      return handle_initiation(now, header.suite, message.first<InitiationLayout::kSize>(), from,
                               arrived_at);
    case MessageType::kResponse:
      if (message.size() != ResponseLayout::kSize) break;
      return handle_response(now, header.suite, message.first<ResponseLayout::kSize>(), from);
    case MessageType::kCookieReply:
      if (message.size() != CookieReplyLayout::kSize) break;
      return handle_cookie_reply(now, header.suite, message);
    case MessageType::kData:
      break;
  }
  return HandshakeVerdict::kMalformed;
}

// A fresh initiation, in place of one that is outstanding.
void Handshaker::State::initiate(Peer& peer, Instant now, WallTime wall) {
  drop_pending(peer);
  Attempt& attempt = peer.attempt;
  attempt.retransmitted = attempt.transmitted;
  attempt.transmitted = true;
  attempt.transmitted_at = now;
  attempt.deadline = next_retry(now);

  const std::optional<ReceiverIndex> index = indices.allocate(owner_of(peer));
  if (!index) return;  // the session table is full: perhaps not any more at the next retry
  handshake_output::SendToPeer output{peer.id, {}};
  const InitiationMessage message = resize_to<InitiationLayout::kSize>(output.message);
  std::optional<InitiatorState> state = create_initiation(local, peer.identity, peer.suite, *index,
                                                          next_timestamp(peer, wall), rng, message);
  CHECK(state.has_value());  // add_peer() refuses keys of low order
  peer.pending = std::make_unique<InitiatorState>(std::move(*state));
  peer.cookies.stamp(now, message);
  peer.last_message_sent = now;
  make_answerable(peer, *index);
  emit(std::move(output));
}

HandshakeVerdict Handshaker::State::handle_initiation(Instant now, Suite suite,
                                                      InitiationView message,
                                                      const DatagramSource& from,
                                                      WorkerId arrived_at) {
  std::optional<OpenedInitiation> opened = open_initiation(local, suite, message);
  if (!opened) return HandshakeVerdict::kDecryptFailed;
  const auto known = by_key.find(opened->remote_static);
  if (known == by_key.end()) return HandshakeVerdict::kUnknownPeer;
  Peer& peer = *find(known->second);
  if (peer.suite != suite) return HandshakeVerdict::kWrongSuite;

  const std::optional<Tai64n> timestamp =
      authenticate_initiation(peer.identity, message, opened->state);
  if (!timestamp) return HandshakeVerdict::kDecryptFailed;
  if (*timestamp <= peer.last_timestamp_received) return HandshakeVerdict::kReplayedTimestamp;
  if (now - peer.last_initiation_accepted < kMinInitiationInterval) {
    return HandshakeVerdict::kTooSoon;
  }

  // From here on it is the peer's, and new.
  peer.last_timestamp_received = *timestamp;
  peer.last_initiation_accepted = now;
  if (!peer.owner) peer.owner = arrived_at;
  emit(handshake_output::EndpointSeen{peer.id, from, *peer.owner});
  emit(handshake_output::TimestampReceived{peer.id, *timestamp});
  if (our_initiation_wins(peer, now)) return HandshakeVerdict::kCrossed;
  return respond(peer, now, opened->state, from);
}

bool Handshaker::State::our_initiation_wins(const Peer& peer, Instant now) const {
  return peer.ringway && peer.pending != nullptr && !peer.attempt.retransmitted &&
         now - peer.attempt.transmitted_at < kCrossedInitiationWait &&
         local.public_key() > peer.identity.public_key;
}

HandshakeVerdict Handshaker::State::respond(Peer& peer, Instant now, ResponderState& responder,
                                            const DatagramSource& from) {
  const std::optional<ReceiverIndex> index = indices.allocate(owner_of(peer));
  if (!index) return HandshakeVerdict::kNoIndex;
  handshake_output::SendTo output{from, {}, owner_of(peer)};
  const ResponseMessage message = resize_to<ResponseLayout::kSize>(output.message);
  std::optional<TransportKeys> keys =
      create_response(peer.identity, *index, rng, message, responder);
  if (!keys) {
    indices.release(*index);
    return HandshakeVerdict::kDecryptFailed;
  }
  drop_pending(peer);
  if (peer.attempt.answered) peer.attempt = {};
  if (peer.attempt.active) peer.attempt.deadline = next_retry(now);
  peer.cookies.stamp(now, message);
  peer.last_message_sent = now;
  make_answerable(peer, *index);
  // The session first: the response may bring data back at once.
  install(peer, now, &from.remote, responder.suite, *index, responder.remote_index,
          std::move(*keys));
  emit(std::move(output));
  return HandshakeVerdict::kAccepted;
}

HandshakeVerdict Handshaker::State::handle_response(Instant now, Suite suite, ResponseView message,
                                                    const DatagramSource& from) {
  const ReceiverIndex index{load_le<std::uint32_t>(message.data() + ResponseLayout::kReceiver)};
  Peer* const peer = find(index);
  if (peer == nullptr || peer->pending == nullptr || peer->pending->local_index != index) {
    return HandshakeVerdict::kUnknownIndex;
  }
  if (peer->pending->suite != suite) return HandshakeVerdict::kWrongSuite;
  std::optional<TransportKeys> keys =
      consume_response(local, peer->identity, message, *peer->pending);
  if (!keys) return HandshakeVerdict::kDecryptFailed;

  const ReceiverIndex remote_index{
      load_le<std::uint32_t>(message.data() + ResponseLayout::kSender)};
  forget_answerable(*peer);
  peer->pending.reset();  // the index goes on as the session's
  peer->attempt = {};
  emit(handshake_output::EndpointSeen{peer->id, from, owner_of(*peer)});
  install(*peer, now, /*answered=*/nullptr, suite, index, remote_index, std::move(*keys));
  return HandshakeVerdict::kAccepted;
}

// The cookie is used from the next message on; nothing is sent for it, so that forged replies
// cannot make us send.
HandshakeVerdict Handshaker::State::handle_cookie_reply(Instant now, Suite suite,
                                                        ConstBytes message) {
  Peer* const peer =
      find(ReceiverIndex{load_le<std::uint32_t>(message.data() + CookieReplyLayout::kReceiver)});
  if (peer == nullptr) return HandshakeVerdict::kUnknownIndex;
  if (peer->suite != suite) return HandshakeVerdict::kWrongSuite;
  return peer->cookies.consume_reply(now, message) ? HandshakeVerdict::kAccepted
                                                   : HandshakeVerdict::kDecryptFailed;
}

// `answered`: where our response goes; null when we are the initiator.
void Handshaker::State::install(Peer& peer, Instant now, const net::Endpoint* answered, Suite suite,
                                ReceiverIndex local_index, ReceiverIndex remote_index,
                                TransportKeys&& keys) {
  handshake_output::InstallSession output;
  if (answered != nullptr) output.answered = *answered;
  output.keys.peer = peer.id;
  output.keys.suite = suite;
  output.keys.initiator = answered == nullptr;
  output.keys.local_index = local_index;
  output.keys.remote_index = remote_index;
  output.keys.send_key = std::move(keys.send);
  output.keys.receive_key = std::move(keys.receive);
  output.keys.handshake_hash = keys.handshake_hash;
  output.keys.created = now;
  peer.erase_at = now + kEraseKeysAfter;
  reschedule(peer);
  emit(std::move(output));
}

// --- timers ----------------------------------------------------------------------------------

Instant Handshaker::State::next_retry(Instant now) {
  const std::uint64_t jitter_ms = rng.below(kRekeyTimeoutJitterMs + 1);
  return now + kRekeyTimeout + Duration::milliseconds(static_cast<std::int64_t>(jitter_ms));
}

void Handshaker::State::attempt_deadline(Peer& peer, Instant now, WallTime wall) {
  Attempt& attempt = peer.attempt;
  if (attempt.answered) {
    drop_pending(peer);
    attempt = {};
  } else if (attempt.retries >= kMaxHandshakeRetries ||
             now - attempt.window_began >= kRekeyAttemptTime) {
    drop_pending(peer);
    attempt = {};
    emit(handshake_output::GaveUp{peer.id});
  } else {
    if (attempt.transmitted) ++attempt.retries;
    initiate(peer, now, wall);
  }
}

// Keeps the peer's one entry in `deadlines` at the earlier of its deadlines.
void Handshaker::State::reschedule(Peer& peer) {
  const Instant attempt_due = peer.attempt.active ? peer.attempt.deadline : Instant::never();
  const Instant due = std::min(attempt_due, peer.erase_at);
  if (due == peer.scheduled_at) return;
  if (peer.scheduled_at != Instant::never()) deadlines.erase({peer.scheduled_at, peer.id});
  if (due != Instant::never()) deadlines.insert({due, peer.id});
  peer.scheduled_at = due;
}

// --- what a handshake holds ------------------------------------------------------------------

// Strictly greater than any that this peer has seen from us, whatever the wall clock does. Peers of
// one moment may share a timestamp.
Tai64n Handshaker::State::next_timestamp(Peer& peer, WallTime wall) {
  peer.last_timestamp_sent = std::max(tai64n(wall), tai64n_successor(peer.last_timestamp_sent));
  if (peer.last_timestamp_sent > newest_timestamp_sent) {
    newest_timestamp_sent = peer.last_timestamp_sent;
    emit(handshake_output::TimestampSent{newest_timestamp_sent});
  }
  return peer.last_timestamp_sent;
}

void Handshaker::State::make_answerable(Peer& peer, ReceiverIndex index) {
  forget_answerable(peer);
  peer.answerable = index;
  by_index.insert_or_assign(index, peer.id);
}

// The index of a session that ended may be another peer's by now.
void Handshaker::State::forget_answerable(const Peer& peer) {
  const auto found = by_index.find(peer.answerable);
  if (found != by_index.end() && found->second == peer.id) by_index.erase(found);
}

void Handshaker::State::drop_pending(Peer& peer) {
  if (peer.pending == nullptr) return;
  forget_answerable(peer);
  indices.release(peer.pending->local_index);
  peer.pending.reset();
}

// --- the public face -------------------------------------------------------------------------

Handshaker::Handshaker(const PrivateKey& private_key, Tai64n last_sent,
                       ReceiverIndexAllocator& indices, Rng& rng)
    : state_(std::make_unique<State>(private_key, last_sent, indices, rng)) {}

Handshaker::~Handshaker() {
  for (const std::unique_ptr<Peer>& peer : state_->by_id) {
    if (peer != nullptr) state_->drop_pending(*peer);
  }
}

const PublicKey& Handshaker::public_key() const {
  return state_->local.public_key();
}

bool Handshaker::add_peer(PeerId id, const PeerSettings& settings, Tai64n last_received) {
  CHECK(id != PeerId::none() && state_->find(id) == nullptr);
  if (settings.public_key == public_key() || state_->by_key.contains(settings.public_key)) {
    return false;
  }
  auto peer = std::make_unique<Peer>(id, settings.public_key);
  RemoteIdentity& identity = peer->identity;
  if (!state_->local.key().agree(identity.public_key, identity.static_static)) return false;
  identity.preshared_key = settings.preshared_key;
  peer->suite = settings.suite;
  peer->ringway = settings.ringway;
  peer->last_timestamp_sent = state_->newest_timestamp_sent;
  peer->last_timestamp_received = last_received;
  state_->by_key.emplace(settings.public_key, id);
  if (id.value >= state_->by_id.size()) state_->by_id.resize(std::size_t{id.value} + 1);
  state_->by_id[id.value] = std::move(peer);
  return true;
}

void Handshaker::remove_peer(PeerId id) {
  Peer* const peer = state_->find(id);
  CHECK(peer != nullptr);
  state_->drop_pending(*peer);
  state_->forget_answerable(*peer);
  peer->attempt = {};
  peer->erase_at = Instant::never();
  state_->reschedule(*peer);
  state_->by_key.erase(peer->identity.public_key);
  state_->by_id[id.value].reset();
  state_->emit(handshake_output::EraseSessions{id});
}

void Handshaker::change_peer(PeerId id, const PeerSettings& settings) {
  Peer* const peer = state_->find(id);
  CHECK(peer != nullptr && peer->identity.public_key == settings.public_key);
  const bool same =
      peer->suite == settings.suite && peer->identity.preshared_key == settings.preshared_key;
  peer->ringway = settings.ringway;
  if (same) return;
  state_->drop_pending(*peer);
  peer->suite = settings.suite;
  peer->identity.preshared_key = settings.preshared_key;
}

void Handshaker::set_owner(PeerId id, WorkerId owner) {
  Peer* const peer = state_->find(id);
  CHECK(peer != nullptr);
  peer->owner = owner;
}

HandshakeVerdict Handshaker::input(Instant now, WallTime /*wall*/, ConstBytes message,
                                   const DatagramSource& from, WorkerId arrived_at) {
  const HandshakeVerdict verdict = state_->dispatch(now, message, from, arrived_at);
  state_->verdicts[static_cast<std::size_t>(verdict)].increment();
  return verdict;
}

void Handshaker::request_session(PeerId id, Instant now, WallTime wall, bool new_data) {
  Peer* const peer = state_->find(id);
  if (peer == nullptr) return;
  Attempt& attempt = peer->attempt;
  if (attempt.active) {
    attempt.answered = false;
    if (!new_data) return;
    attempt.window_began = now;
    attempt.retries = 0;
    return;
  }
  attempt.active = true;
  attempt.window_began = now;
  attempt.deadline = peer->last_message_sent + kRekeyTimeout;
  if (attempt.deadline <= now) state_->initiate(*peer, now, wall);
  state_->reschedule(*peer);
}

void Handshaker::session_confirmed(PeerId id) {
  Peer* const peer = state_->find(id);
  if (peer == nullptr || !peer->attempt.active) return;
  // An initiation that is out may still be answered: wait for that, but send no more.
  if (peer->pending != nullptr) {
    peer->attempt.answered = true;
  } else {
    peer->attempt = {};
  }
  state_->reschedule(*peer);
}

void Handshaker::tick(Instant now, WallTime wall) {
  for (int handled = 0; handled < kMaxPeersPerTick && next_deadline() <= now; ++handled) {
    Peer* const peer = state_->find(state_->deadlines.begin()->second);
    CHECK(peer != nullptr);
    if (peer->attempt.active && peer->attempt.deadline <= now) {
      state_->attempt_deadline(*peer, now, wall);
    }
    if (peer->erase_at <= now) {
      peer->erase_at = Instant::never();
      state_->emit(handshake_output::EraseSessions{peer->id});
    }
    state_->reschedule(*peer);
  }
}

Instant Handshaker::next_deadline() const {
  return state_->deadlines.empty() ? Instant::never() : state_->deadlines.begin()->first;
}

bool Handshaker::poll_output(HandshakeOutput& output) {
  if (state_->outputs_taken == state_->outputs.size()) {
    state_->outputs.clear();
    state_->outputs_taken = 0;
    return false;
  }
  output = std::move(state_->outputs[state_->outputs_taken++]);
  return true;
}

std::uint64_t Handshaker::verdict_count(HandshakeVerdict verdict) const {
  return state_->verdicts[static_cast<std::size_t>(verdict)].value();
}

bool Handshaker::handshake_in_progress(PeerId id) const {
  const Peer* const peer = state_->find(id);
  return peer != nullptr && peer->attempt.active && !peer->attempt.answered;
}

}  // namespace ringway::tunnel
