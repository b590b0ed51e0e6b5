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

// What others seal to a node with: an X25519 key that its credential binds to it.
inline constexpr std::size_t kSealingKeyBytes = 32;
using SealingKey = std::array<std::uint8_t, kSealingKeyBytes>;
// By so much what is sealed is longer: a key of its own before it, a tag behind.
inline constexpr std::size_t kSealOverhead = kSealingKeyBytes + 16;

class Sealer {
 public:
  virtual ~Sealer() = default;
  // Encrypts `plain` to whoever holds the other half of that key, with a key pair made for it
  // alone, bound to `context`. sealed: plain.size() + kSealOverhead. False: the key is none.
  [[nodiscard]] virtual bool seal(const SealingKey& to, ConstBytes context, ConstBytes plain,
                                  Bytes sealed) = 0;
  // plain: sealed.size() - kSealOverhead. False: not sealed to this node, not in that context, or
  // changed.
  [[nodiscard]] virtual bool open(ConstBytes context, ConstBytes sealed, Bytes plain) = 0;
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
  // Of a credential that verify() found to belong to its node.
  [[nodiscard]] virtual SealingKey sealing_key(ConstBytes credential) = 0;
  // A place on the ring that nobody can choose: 160 bits of a hash.
  [[nodiscard]] virtual NodeId place_of(ConstBytes bytes) = 0;
};

}  // namespace ringway::overlay
