#include "overlay/sim/modelled_signatures.hpp"

#include <algorithm>

#include <sodium.h>

#include "base/check.hpp"

namespace ringway::overlay::sim {
namespace {

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

ModelledSigner::ModelledSigner(const NodeId& self) : key_(key_of(self)) {
  self.to_bytes(credential_.data());
}

Signature ModelledSigner::sign(ConstBytes message) {
  return keyed_hash(key_, message);
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

}  // namespace ringway::overlay::sim
