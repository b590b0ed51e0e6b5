// The handshake's cryptography: Noise_IKpsk2 as free functions over a small state, for both suites.
// No peers, timers or cookies here (handshaker.hpp): the caller knows the other side's key, hands
// in the timestamp, and stamps mac1 and mac2 afterwards. Sources: Noise revision 34 (IK with
// modifier psk2), WireGuard whitepaper section 5.4.
//
//   <- s                                                responder's static key is known beforehand
//   -> e, es, s, ss, {timestamp}                        create_initiation / open_initiation
//   <- e, ee, se, psk, {}                               create_response / consume_response
//
// The suite picks AEAD, Noise name and prologue, so the two sides of one handshake agree on it or
// fail: there is nothing in which a suite could be lowered.
//   0  Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s  "WireGuard v1 zx2c4 Jason@zx2c4.com"
//   1  Noise_IKpsk2_25519_AESGCM_BLAKE2s      "Ringway v1 aes256gcm"
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/rng.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/primitives.hpp"

namespace ringway::tunnel {

// Noise's symmetric state: what both sides have agreed on so far.
struct SymmetricState {
  SymmetricKey chaining_key;
  Hash hash{};
};

// This node: its key, and the state in which it responds to any initiation, by suite.
class LocalIdentity {
 public:
  explicit LocalIdentity(const PrivateKey& private_key);
  [[nodiscard]] const X25519Key& key() const { return key_; }
  [[nodiscard]] const PublicKey& public_key() const { return key_.public_key(); }
  [[nodiscard]] const SymmetricState& responder_start(Suite suite) const {
    return responder_start_[static_cast<std::size_t>(suite)];
  }

 private:
  X25519Key key_;
  SymmetricState responder_start_[kSuiteCount];
};

// A peer: static_static is computed once, since it is the same in every handshake.
struct RemoteIdentity {
  PublicKey public_key{};
  SharedSecret static_static;
  PresharedKey preshared_key;
};

// The initiator between its initiation and the response.
struct InitiatorState {
  Suite suite;
  ReceiverIndex local_index;
  X25519Key ephemeral;
  SymmetricState symmetric;
};

// The responder between the initiation and its response.
struct ResponderState {
  Suite suite;
  ReceiverIndex remote_index;
  PublicKey remote_ephemeral;
  SymmetricState symmetric;
};

// The initiation of an unknown sender, opened as far as its static key.
struct OpenedInitiation {
  ResponderState state;
  PublicKey remote_static;
};

struct TransportKeys {
  SymmetricKey send;
  SymmetricKey receive;
  Hash handshake_hash{};
};

using InitiationMessage = std::span<std::uint8_t, InitiationLayout::kSize>;
using InitiationView = std::span<const std::uint8_t, InitiationLayout::kSize>;
using ResponseMessage = std::span<std::uint8_t, ResponseLayout::kSize>;
using ResponseView = std::span<const std::uint8_t, ResponseLayout::kSize>;

// Writes an initiation without its macs. Empty when the peer's key is of low order.
[[nodiscard]] std::optional<InitiatorState> create_initiation(
    const LocalIdentity& local, const RemoteIdentity& remote, Suite suite,
    ReceiverIndex local_index, const Tai64n& timestamp, Rng& rng, InitiationMessage message);

// Opens an initiation of suite `suite` up to the sender's static key. Empty when it is not for us
// or was tampered with. What is opened is not yet known to come from the owner of the static key.
[[nodiscard]] std::optional<OpenedInitiation> open_initiation(const LocalIdentity& local,
                                                              Suite suite, InitiationView message);
// Authenticates the initiation as `remote`'s, whose key it carries, and yields its timestamp.
// Empty, and `state` spent, when it is not.
[[nodiscard]] std::optional<Tai64n> authenticate_initiation(const RemoteIdentity& remote,
                                                            InitiationView message,
                                                            ResponderState& state);

// Writes a response without its macs and finishes. Empty when the initiator's ephemeral key is of
// low order.
[[nodiscard]] std::optional<TransportKeys> create_response(const RemoteIdentity& remote,
                                                           ReceiverIndex local_index, Rng& rng,
                                                           ResponseMessage message,
                                                           ResponderState& state);
// Finishes on the initiator's side. Empty when the response does not authenticate; `state` is
// unchanged, and a genuine response may still come.
[[nodiscard]] std::optional<TransportKeys> consume_response(const LocalIdentity& local,
                                                            const RemoteIdentity& remote,
                                                            ResponseView message,
                                                            const InitiatorState& state);

}  // namespace ringway::tunnel
