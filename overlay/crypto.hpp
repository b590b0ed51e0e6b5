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

// What the issuer of a certificate may have written into it, beyond who the node is.
enum class Grant : std::uint8_t { kGateway, kRelay, kIssuer, kAddress, kName };

class Verifier {
 public:
  virtual ~Verifier() = default;
  // Whether `credential` belongs to `signer` and `signature` was made with it.
  [[nodiscard]] virtual bool verify(const NodeId& signer, ConstBytes credential, ConstBytes message,
                                    const Signature& signature) = 0;
  // Whether the issuer of `credential`, which belongs to its node, granted that: a role, or that
  // very address or name (`subject`).
  [[nodiscard]] virtual bool grants(ConstBytes credential, Grant grant, ConstBytes subject) = 0;
  // A place on the ring that nobody can choose: 160 bits of a hash.
  [[nodiscard]] virtual NodeId place_of(ConstBytes bytes) = 0;
};

}  // namespace ringway::overlay
