// What the overlay needs of cryptography, brought by who drives it: the node's signing key and
// certificates there, a keyed hash of the same size in the simulator.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "overlay/node_id.hpp"

namespace ringway::overlay {

inline constexpr std::size_t kSignatureBytes = 64;  // Ed25519's
using Signature = std::array<std::uint8_t, kSignatureBytes>;

// A credential is what a stranger needs to believe that a signature is this node's: the signing key
// with the salt of the node ID, or a certificate.
inline constexpr std::size_t kMaxCredentialBytes = 512;

class Signer {
 public:
  virtual ~Signer() = default;
  [[nodiscard]] virtual Signature sign(ConstBytes message) = 0;
  [[nodiscard]] virtual ConstBytes credential() const = 0;
};

class Verifier {
 public:
  virtual ~Verifier() = default;
  // Whether `credential` belongs to `signer` and `signature` was made with it.
  [[nodiscard]] virtual bool verify(const NodeId& signer, ConstBytes credential, ConstBytes message,
                                    const Signature& signature) = 0;
};

}  // namespace ringway::overlay
