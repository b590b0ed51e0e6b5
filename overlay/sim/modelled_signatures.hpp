// Signatures as the simulator has them: a keyed BLAKE2b of the same 64 bytes, under a key that
// follows from the node's ID and that only the simulator can compute. It costs a few hundred
// nanoseconds where Ed25519 costs fifty thousand, and detects the same changes.
#pragma once

#include <array>
#include <functional>
#include <utility>
#include <vector>

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

class ModelledVerifier final : public Verifier {
 public:
  // Is told of each message that was found authentic.
  using Watcher = std::function<void(const NodeId& signer, ConstBytes message)>;
  void set_watcher(Watcher watcher) { watcher_ = std::move(watcher); }

  [[nodiscard]] bool verify(const NodeId& signer, ConstBytes credential, ConstBytes message,
                            const Signature& signature) override;
  [[nodiscard]] bool grants(ConstBytes credential, Grant grant, ConstBytes subject) override;
  [[nodiscard]] NodeId place_of(ConstBytes bytes) override;

 private:
  Watcher watcher_;
};

}  // namespace ringway::overlay::sim
