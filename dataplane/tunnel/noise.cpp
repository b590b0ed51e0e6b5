#include "dataplane/tunnel/noise.hpp"

#include <algorithm>
#include <string_view>

namespace ringway::tunnel {
namespace {

struct SuiteNames {
  std::string_view noise_name;
  std::string_view identifier;
};
constexpr SuiteNames kSuiteNames[kSuiteCount] = {
    {"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", "WireGuard v1 zx2c4 Jason@zx2c4.com"},
    {"Noise_IKpsk2_25519_AESGCM_BLAKE2s", "Ringway v1 aes256gcm"},
};

ConstBytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Both names are longer than a hash, so Noise starts from their hash.
SymmetricState start_of(Suite suite) {
  const SuiteNames& names = kSuiteNames[static_cast<std::size_t>(suite)];
  SymmetricState state;
  const Hash name_hash = blake2s(bytes_of(names.noise_name));
  std::copy(name_hash.begin(), name_hash.end(), state.chaining_key.data());
  state.hash = blake2s(name_hash, bytes_of(names.identifier));
  return state;
}

const SymmetricState& suite_start(Suite suite) {
  static const SymmetricState starts[kSuiteCount] = {start_of(Suite::kChaCha20Poly1305),
                                                     start_of(Suite::kAes256Gcm)};
  return starts[static_cast<std::size_t>(suite)];
}

void mix_hash(SymmetricState& state, ConstBytes data) {
  state.hash = blake2s(state.hash, data);
}

// The psk modifier makes an ephemeral key go into the chaining key as well (Noise, section 9.2).
void mix_ephemeral(SymmetricState& state, const PublicKey& ephemeral) {
  mix_hash(state, ephemeral);
  kdf1(state.chaining_key, ephemeral, state.chaining_key);
}

// Where the AEAD key that an agreement yields is not used before the next one replaces it.
void mix_secret(SymmetricState& state, const SharedSecret& secret) {
  kdf1(state.chaining_key, secret.span(), state.chaining_key);
}

void mix_secret(SymmetricState& state, const SharedSecret& secret, SymmetricKey& aead_key) {
  kdf2(state.chaining_key, secret.span(), state.chaining_key, aead_key);
}

void mix_preshared_key(SymmetricState& state, const PresharedKey& preshared_key,
                       SymmetricKey& aead_key) {
  SymmetricKey middle;
  kdf3(state.chaining_key, preshared_key.span(), state.chaining_key, middle, aead_key);
  mix_hash(state, middle.span());
}

// Seals under the hash so far and mixes the ciphertext in.
void seal_and_hash(SymmetricState& state, Suite suite, const SymmetricKey& key,
                   ConstBytes plaintext, std::uint8_t* out) {
  aead_seal(suite, key, /*counter=*/0, state.hash, plaintext, out);
  mix_hash(state, {out, plaintext.size() + kTagBytes});
}

[[nodiscard]] bool open_and_hash(SymmetricState& state, Suite suite, const SymmetricKey& key,
                                 ConstBytes ciphertext, std::uint8_t* out) {
  if (!aead_open(suite, key, /*counter=*/0, state.hash, ciphertext, out)) return false;
  mix_hash(state, ciphertext);
  return true;
}

// Noise's Split: the first key is the initiator's for sending.
TransportKeys split(const SymmetricState& state, bool initiator) {
  TransportKeys keys;
  SymmetricKey& first = initiator ? keys.send : keys.receive;
  SymmetricKey& second = initiator ? keys.receive : keys.send;
  kdf2(state.chaining_key, {}, first, second);
  keys.handshake_hash = state.hash;
  return keys;
}

PublicKey key_at(ConstBytes message, std::size_t offset) {
  PublicKey key;
  std::memcpy(key.data(), message.data() + offset, key.size());
  return key;
}

ReceiverIndex index_at(ConstBytes message, std::size_t offset) {
  return {load_le<std::uint32_t>(message.data() + offset)};
}

}  // namespace

LocalIdentity::LocalIdentity(const PrivateKey& private_key) : key_(private_key) {
  for (const Suite suite : {Suite::kChaCha20Poly1305, Suite::kAes256Gcm}) {
    SymmetricState& start = responder_start_[static_cast<std::size_t>(suite)];
    start = suite_start(suite);
    mix_hash(start, public_key());
  }
}

std::optional<InitiatorState> create_initiation(const LocalIdentity& local,
                                                const RemoteIdentity& remote, Suite suite,
                                                ReceiverIndex local_index, const Tai64n& timestamp,
                                                Rng& rng, InitiationMessage message) {
  using Layout = InitiationLayout;
  InitiatorState state{suite, local_index, X25519Key::generate(rng), suite_start(suite)};
  SymmetricState& symmetric = state.symmetric;
  mix_hash(symmetric, remote.public_key);

  std::fill(message.begin(), message.end(), 0);
  emit_message_header(message.data(), MessageType::kInitiation, suite);
  store_le(message.data() + Layout::kSender, local_index.value);

  const PublicKey& ephemeral = state.ephemeral.public_key();
  std::copy(ephemeral.begin(), ephemeral.end(), message.data() + Layout::kEphemeral);
  mix_ephemeral(symmetric, ephemeral);

  SharedSecret ephemeral_static;
  if (!state.ephemeral.agree(remote.public_key, ephemeral_static)) return std::nullopt;
  SymmetricKey key;
  mix_secret(symmetric, ephemeral_static, key);
  seal_and_hash(symmetric, suite, key, local.public_key(), message.data() + Layout::kStatic);

  mix_secret(symmetric, remote.static_static, key);
  seal_and_hash(symmetric, suite, key, timestamp, message.data() + Layout::kTimestamp);
  return state;
}

std::optional<OpenedInitiation> open_initiation(const LocalIdentity& local, Suite suite,
                                                InitiationView message) {
  using Layout = InitiationLayout;
  OpenedInitiation opened{{suite, index_at(message, Layout::kSender),
                           key_at(message, Layout::kEphemeral), local.responder_start(suite)},
                          {}};
  SymmetricState& symmetric = opened.state.symmetric;
  mix_ephemeral(symmetric, opened.state.remote_ephemeral);

  SharedSecret ephemeral_static;
  if (!local.key().agree(opened.state.remote_ephemeral, ephemeral_static)) return std::nullopt;
  SymmetricKey key;
  mix_secret(symmetric, ephemeral_static, key);
  const ConstBytes sealed_static = message.subspan(Layout::kStatic, kKeyBytes + kTagBytes);
  if (!open_and_hash(symmetric, suite, key, sealed_static, opened.remote_static.data())) {
    return std::nullopt;
  }
  return opened;
}

std::optional<Tai64n> authenticate_initiation(const RemoteIdentity& remote, InitiationView message,
                                              ResponderState& state) {
  SymmetricKey key;
  mix_secret(state.symmetric, remote.static_static, key);
  const ConstBytes sealed_timestamp =
      message.subspan(InitiationLayout::kTimestamp, kTimestampBytes + kTagBytes);
  Tai64n timestamp;
  if (!open_and_hash(state.symmetric, state.suite, key, sealed_timestamp, timestamp.data())) {
    return std::nullopt;
  }
  return timestamp;
}

std::optional<TransportKeys> create_response(const RemoteIdentity& remote,
                                             ReceiverIndex local_index, Rng& rng,
                                             ResponseMessage message, ResponderState& state) {
  using Layout = ResponseLayout;
  SymmetricState& symmetric = state.symmetric;
  std::fill(message.begin(), message.end(), 0);
  emit_message_header(message.data(), MessageType::kResponse, state.suite);
  store_le(message.data() + Layout::kSender, local_index.value);
  store_le(message.data() + Layout::kReceiver, state.remote_index.value);

  const X25519Key ephemeral = X25519Key::generate(rng);
  const PublicKey& ephemeral_public = ephemeral.public_key();
  std::copy(ephemeral_public.begin(), ephemeral_public.end(), message.data() + Layout::kEphemeral);
  mix_ephemeral(symmetric, ephemeral_public);

  SharedSecret secret;
  if (!ephemeral.agree(state.remote_ephemeral, secret)) return std::nullopt;
  mix_secret(symmetric, secret);
  if (!ephemeral.agree(remote.public_key, secret)) return std::nullopt;
  mix_secret(symmetric, secret);

  SymmetricKey key;
  mix_preshared_key(symmetric, remote.preshared_key, key);
  seal_and_hash(symmetric, state.suite, key, {}, message.data() + Layout::kEmpty);
  return split(symmetric, /*initiator=*/false);
}

std::optional<TransportKeys> consume_response(const LocalIdentity& local,
                                              const RemoteIdentity& remote, ResponseView message,
                                              const InitiatorState& state) {
  using Layout = ResponseLayout;
  SymmetricState symmetric = state.symmetric;
  const PublicKey remote_ephemeral = key_at(message, Layout::kEphemeral);
  mix_ephemeral(symmetric, remote_ephemeral);

  SharedSecret secret;
  if (!state.ephemeral.agree(remote_ephemeral, secret)) return std::nullopt;
  mix_secret(symmetric, secret);
  if (!local.key().agree(remote_ephemeral, secret)) return std::nullopt;
  mix_secret(symmetric, secret);

  SymmetricKey key;
  mix_preshared_key(symmetric, remote.preshared_key, key);
  std::uint8_t nothing[1];
  if (!open_and_hash(symmetric, state.suite, key, message.subspan(Layout::kEmpty, kTagBytes),
                     nothing)) {
    return std::nullopt;
  }
  return split(symmetric, /*initiator=*/true);
}

}  // namespace ringway::tunnel
