#include "overlay/sim/modelled_signatures.hpp"

#include <algorithm>

#include <sodium.h>

#include "base/check.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::size_t kSealTagBytes = crypto_aead_chacha20poly1305_ietf_ABYTES;
static_assert(kSealOverhead == kSealingKeyBytes + kSealTagBytes);
// An ephemeral key encrypts one message.
constexpr std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> kNonce{};

std::array<std::uint8_t, 32> agreed_key(const SealingKey& receiver, ConstBytes ephemeral) {
  std::array<std::uint8_t, 32> key;
  CHECK(crypto_generichash(key.data(), key.size(), ephemeral.data(), ephemeral.size(),
                           receiver.data(), receiver.size()) == 0);
  return key;
}

// In the credential, behind the node ID.
constexpr std::size_t kRolesAt = NodeId::kBytes;
constexpr std::size_t kAddressAt = kRolesAt + 1;

std::array<std::uint8_t, 32> key_of(const NodeId& node) {
  std::array<std::uint8_t, NodeId::kBytes> id;
  node.to_bytes(id.data());
  std::array<std::uint8_t, 32> key;
  CHECK(crypto_generichash(key.data(), key.size(), id.data(), id.size(), nullptr, 0) == 0);
  return key;
}

Signature keyed_hash(const std::array<std::uint8_t, 32>& key, ConstBytes message) {
  Signature signature;
  CHECK(crypto_generichash(signature.data(), signature.size(), message.data(), message.size(),
                           key.data(), key.size()) == 0);
  return signature;
}

}  // namespace

ModelledSigner::ModelledSigner(const NodeId& self, const ModelledGrants& grants)
    : key_(key_of(self)), credential_(grants.credential_bytes) {
  CHECK(credential_.size() >= kAddressAt + sizeof grants.address);
  self.to_bytes(credential_.data());
  credential_[kRolesAt] = grants.roles ? 1 : 0;
  store_be(&credential_[kAddressAt], grants.address);
}

Signature ModelledSigner::sign(ConstBytes message) {
  return keyed_hash(key_, message);
}

SealingKey ModelledSealer::key_of(const NodeId& node) {
  std::array<std::uint8_t, NodeId::kBytes> id;
  node.to_bytes(id.data());
  constexpr std::array<std::uint8_t, 16> kPurpose{'s', 'e', 'a', 'l'};
  SealingKey key;
  CHECK(crypto_generichash(key.data(), key.size(), id.data(), id.size(), kPurpose.data(),
                           kPurpose.size()) == 0);
  return key;
}

bool ModelledSealer::seal(const SealingKey& to, ConstBytes context, ConstBytes plain,
                          Bytes sealed) {
  CHECK(sealed.size() == plain.size() + kSealOverhead);
  const Bytes ephemeral = sealed.first(kSealingKeyBytes);
  rng_.fill(ephemeral);
  const auto key = agreed_key(to, ephemeral);
  return crypto_aead_chacha20poly1305_ietf_encrypt(
             sealed.data() + kSealingKeyBytes, nullptr, plain.data(), plain.size(), context.data(),
             context.size(), nullptr, kNonce.data(), key.data()) == 0;
}

bool ModelledSealer::open(ConstBytes context, ConstBytes sealed, Bytes plain) {
  CHECK(sealed.size() == plain.size() + kSealOverhead);
  const auto key = agreed_key(key_, sealed.first(kSealingKeyBytes));
  return crypto_aead_chacha20poly1305_ietf_decrypt(plain.data(), nullptr, nullptr,
                                                   sealed.data() + kSealingKeyBytes,
                                                   plain.size() + kSealTagBytes, context.data(),
                                                   context.size(), kNonce.data(), key.data()) == 0;
}

bool ModelledVerifier::verify(const NodeId& signer, ConstBytes credential, ConstBytes message,
                              const Signature& signature) {
  if (credential.size() < NodeId::kBytes || NodeId::from_bytes(credential.data()) != signer)
    return false;
  const Signature expected = keyed_hash(key_of(signer), message);
  if (!std::equal(expected.begin(), expected.end(), signature.begin())) return false;
  if (watcher_) watcher_(signer, message);
  return true;
}

bool ModelledVerifier::grants(ConstBytes credential, Grant grant, ConstBytes subject) {
  if (credential.size() < kAddressAt + sizeof(std::uint32_t)) return false;
  if (grant == Grant::kName) return false;
  if (grant != Grant::kAddress) return credential[kRolesAt] == 1;
  const ConstBytes address = credential.subspan(kAddressAt, sizeof(std::uint32_t));
  return load_be<std::uint32_t>(address.data()) != 0 &&
         std::equal(address.begin(), address.end(), subject.begin(), subject.end());
}

SealingKey ModelledVerifier::sealing_key(ConstBytes credential) {
  return ModelledSealer::key_of(NodeId::from_bytes(credential.data()));
}

NodeId ModelledVerifier::place_of(ConstBytes bytes) {
  std::array<std::uint8_t, NodeId::kBytes> place;
  CHECK(crypto_generichash(place.data(), place.size(), bytes.data(), bytes.size(), nullptr, 0) ==
        0);
  return NodeId::from_bytes(place.data());
}

}  // namespace ringway::overlay::sim
