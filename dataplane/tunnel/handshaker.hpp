// The handshake side of the tunnel for all peers of a node: initiations, responses, cookies,
// retransmission, give-up and key erasure. A sans-IO state machine: it is given messages, requests
// and `now`, and returns outputs and a deadline. It never sees a socket, a clock or a data packet;
// the data-side timers are the worker's (data_timers.hpp). Control-plane thread.
// Sources: WireGuard whitepaper section 5.4 and 6; Noise revision 34, IKpsk2.
//
//                  request_session()            response accepted -> InstallSession (initiator)
//        IDLE ───────────────────────► INITIATED ─────────────────────────────► IDLE
//         ▲                            │   ▲  │ 5 s + jitter: send again
//         │ 18 retries or 90 s: GaveUp │   └──┘
//         └────────────────────────────┘
//   An accepted initiation at any time: InstallSession (responder), SendTo(response). It overwrites
//   an initiation of ours (one handshake a peer); the retry timer goes on until
//   session_confirmed(), because when two stock peers cross, each drops what the other answers, and
//   both would wait. Between Ringway peers the larger public key (bytewise) ignores the crossing
//   initiation instead, for kCrossedInitiationWait after the first transmission of its own; later
//   its own seems lost.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/net/address.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/receiver_index.hpp"

namespace ringway::tunnel {

struct PeerSettings {
  PublicKey public_key{};
  PresharedKey preshared_key;
  Suite suite = Suite::kChaCha20Poly1305;  // the only one accepted and offered: no fallback
  bool ringway = false;  // speaks Ringway's extensions; a stock WireGuard peer does not
};

// What a finished handshake yields. local_index now belongs to the session: whoever owns the
// sessions returns it to the ReceiverIndexAllocator when the session ends (also when it refuses to
// install it). Indices of unfinished handshakes are the handshaker's affair.
struct SessionKeys {
  PeerId peer;
  Suite suite = Suite::kChaCha20Poly1305;
  bool initiator = false;      // we sent the initiation: we rekey by time, and may send at once
  ReceiverIndex local_index;   // in messages to us
  ReceiverIndex remote_index;  // in messages to the peer
  SecretBytes<kKeyBytes> send_key;
  SecretBytes<kKeyBytes> receive_key;
  std::array<std::uint8_t, kHashBytes>
      handshake_hash{};  // binds what is said inside to this handshake
  Instant created;
};

// Where a datagram came from, and the local address to answer from.
struct DatagramSource {
  net::Endpoint remote;
  net::IpAddress local;
  std::uint32_t interface = 0;  // 0: `local` is unknown
};

// One handshake message, as long as it is.
struct HandshakeBytes {
  std::array<std::uint8_t, kMaxHandshakeBytes> data{};
  std::uint8_t length = 0;
  [[nodiscard]] ConstBytes view() const { return {data.data(), length}; }
};

namespace handshake_output {
// An initiation: to the peer's best path, traffic class kHandshakeTrafficClass.
struct SendToPeer {
  PeerId peer;
  HandshakeBytes message;
};
// A response: to where the initiation came from, by the worker that has the session.
struct SendTo {
  DatagramSource to;
  HandshakeBytes message;
  WorkerId owner;
};
struct InstallSession {
  SessionKeys keys;
  net::Endpoint answered;  // where our response goes, when we are not the initiator
};
// An authenticated handshake message came from here; `owner` has the peer's sessions.
struct EndpointSeen {
  PeerId peer;
  DatagramSource from;
  WorkerId owner;
};
// No answer within kRekeyAttemptTime: staged packets have no future.
struct GaveUp {
  PeerId peer;
};
// kEraseKeysAfter without a new session, or the peer was removed: all its sessions end.
struct EraseSessions {
  PeerId peer;
};
// To be kept on disk before the message that carries it is sent.
struct TimestampSent {
  Tai64n timestamp;
};
struct TimestampReceived {
  PeerId peer;
  Tai64n timestamp;
};
}  // namespace handshake_output

using HandshakeOutput =
    std::variant<handshake_output::SendToPeer, handshake_output::SendTo,
                 handshake_output::InstallSession, handshake_output::EndpointSeen,
                 handshake_output::GaveUp, handshake_output::EraseSessions,
                 handshake_output::TimestampSent, handshake_output::TimestampReceived>;

// What became of a message; one counter each.
enum class HandshakeVerdict : std::uint8_t {
  kAccepted,
  kMalformed,      // length, type or reserved bytes
  kUnknownPeer,    // static key of no configured peer
  kUnknownIndex,   // response or cookie for no handshake of ours
  kWrongSuite,     // the peer is known to have another suite: no downgrade
  kDecryptFailed,  // authentication inside the handshake failed
  kReplayedTimestamp,
  kTooSoon,  // over 50 initiations a second from one peer
  kCrossed,  // both began at once: ours takes precedence
  kNoIndex,  // session table full
};
inline constexpr std::size_t kHandshakeVerdictCount = 10;
[[nodiscard]] const char* verdict_label(HandshakeVerdict verdict);

class Handshaker {
 public:
  // last_sent: the newest timestamp this key ever sent; exceeded even if the wall clock went back.
  // rng and indices must outlive the handshaker.
  Handshaker(const PrivateKey& private_key, Tai64n last_sent, ReceiverIndexAllocator& indices,
             Rng& rng);
  ~Handshaker();

  [[nodiscard]] const PublicKey& public_key() const;

  // `id` must be unused. last_received: the newest timestamp ever accepted from this peer.
  // False when the public key is ours, belongs to another peer, or is of low order.
  [[nodiscard]] bool add_peer(PeerId id, const PeerSettings& settings, Tai64n last_received);
  // Forgets the peer's handshake, keys and timers; emits EraseSessions.
  void remove_peer(PeerId id);
  // A new preshared key or suite takes effect with the next handshake; one under way is not
  // finished under the old ones, but started anew at its next retry. Sessions are left alone. The
  // public key is the peer's identity and must be the same.
  void change_peer(PeerId id, const PeerSettings& settings);

  // The worker that is to own the peer's sessions. Where it is not said, it becomes the one at
  // which the peer's first initiation arrives.
  void set_owner(PeerId id, WorkerId owner);

  // A message of type 1, 2 or 3 whose mac1 (types 1 and 2) was checked already by `arrived_at`.
  HandshakeVerdict input(Instant now, WallTime wall, ConstBytes message, const DatagramSource& from,
                         WorkerId arrived_at = {});

  // The worker has something to send and no session, or a session that is due. Starts a handshake
  // unless one is under way; with `new_data` it also restarts the attempt window. The initiation
  // waits until kRekeyTimeout has passed since the last handshake message to this peer, so that
  // nobody can make us send many. An id of no peer is ignored: the request may have crossed a
  // removal.
  void request_session(PeerId id, Instant now, WallTime wall, bool new_data);
  // The first data arrived on a session that we answered: the peer has it, and a retry that was
  // pending from before is not needed. Without this call it costs one superfluous handshake.
  void session_confirmed(PeerId id);

  // Retransmission, give-up, erasure. To be called at next_deadline() or later. Does a bounded
  // number of peers a call; when more are due, next_deadline() stays in the past.
  void tick(Instant now, WallTime wall);
  [[nodiscard]] Instant next_deadline() const;

  // The oldest output not yet taken; false when there is none.
  [[nodiscard]] bool poll_output(HandshakeOutput& output);

  [[nodiscard]] std::uint64_t verdict_count(HandshakeVerdict verdict) const;
  [[nodiscard]] bool handshake_in_progress(PeerId id) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ringway::tunnel
