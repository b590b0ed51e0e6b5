// Signatures as the simulator has them: a keyed BLAKE2b of the same 64 bytes, under a key that
// follows from the node's ID and that only the simulator can compute. It costs a few hundred
// nanoseconds where Ed25519 costs fifty thousand, and detects the same changes.
#pragma once

#include <array>
#include <functional>
#include <utility>

#include "overlay/crypto.hpp"

namespace ringway::overlay::sim {

class ModelledSigner final : public Signer {
 public:
  explicit ModelledSigner(const NodeId& self);
  [[nodiscard]] Signature sign(ConstBytes message) override;
  [[nodiscard]] ConstBytes credential() const override { return credential_; }

 private:
  std::array<std::uint8_t, 32> key_;
  std::array<std::uint8_t, 40> credential_{};  // as a signing key and the salt of its ID
};

class ModelledVerifier final : public Verifier {
 public:
  // Is told of each message that was found authentic.
  using Watcher = std::function<void(const NodeId& signer, ConstBytes message)>;
  void set_watcher(Watcher watcher) { watcher_ = std::move(watcher); }

  [[nodiscard]] bool verify(const NodeId& signer, ConstBytes credential, ConstBytes message,
                            const Signature& signature) override;

 private:
  Watcher watcher_;
};

}  // namespace ringway::overlay::sim
