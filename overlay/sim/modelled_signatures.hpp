// Signatures as the simulator has them: a keyed BLAKE2b of the same 64 bytes, under a key that
// follows from the node's ID and that only the simulator can compute. It costs a few hundred
// nanoseconds where Ed25519 costs fifty thousand, and detects the same changes.
#pragma once

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "base/rng.hpp"
#include "overlay/crypto.hpp"

namespace ringway::overlay::sim {

// What a simulated certificate grants, and its size: as a signing key and the salt of its ID, or
// padded to that of a certificate.
struct ModelledGrants {
  bool roles = false;         // gateway, relay and issuer
  std::uint32_t address = 0;  // an IPv4 address; zero: none
  std::size_t credential_bytes = 40;
};

class ModelledSigner final : public Signer {
 public:
  explicit ModelledSigner(const NodeId& self, const ModelledGrants& grants = {});
  [[nodiscard]] Signature sign(ConstBytes message) override;
  [[nodiscard]] ConstBytes credential() const override { return credential_; }

 private:
  std::array<std::uint8_t, 32> key_;
  std::vector<std::uint8_t> credential_;
};

// Sealing: the key of a node follows from its ID, that of a message from it and the ephemeral key,
// which only the simulator can compute in place of X25519; the cipher is the true one.
class ModelledSealer final : public Sealer {
 public:
  // rng: for ephemeral keys.
  ModelledSealer(const NodeId& self, Rng& rng) : key_(key_of(self)), rng_(rng) {}
  [[nodiscard]] static SealingKey key_of(const NodeId& node);
  [[nodiscard]] bool seal(const SealingKey& to, ConstBytes context, ConstBytes plain,
                          Bytes sealed) override;
  [[nodiscard]] bool open(ConstBytes context, ConstBytes sealed, Bytes plain) override;

 private:
  SealingKey key_;
  Rng& rng_;
};

class ModelledVerifier final : public Verifier {
 public:
  // Is told of each message that was found authentic.
  using Watcher = std::function<void(const NodeId& signer, ConstBytes message)>;
  void set_watcher(Watcher watcher) { watcher_ = std::move(watcher); }

  [[nodiscard]] bool verify(const NodeId& signer, ConstBytes credential, ConstBytes message,
                            const Signature& signature) override;
  [[nodiscard]] bool grants(ConstBytes credential, Grant grant, ConstBytes subject) override;
  [[nodiscard]] SealingKey sealing_key(ConstBytes credential) override;
  [[nodiscard]] NodeId place_of(ConstBytes bytes) override;

 private:
  Watcher watcher_;
};

}  // namespace ringway::overlay::sim
