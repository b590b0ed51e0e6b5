// Keys as people and files hold them: base64 text, generation, derivation of the public key, and
// key files, which are refused when others than their owner could read them.
// Sources: RFC 4648 section 4 (base64), RFC 7748 section 5 (X25519 and its clamping).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::control {

// 32 bytes in base64: 43 characters and one '='.
inline constexpr std::size_t kKeyTextLength = 44;

// Takes time that does not depend on the key.
[[nodiscard]] std::string key_to_text(std::span<const std::uint8_t, tunnel::kKeyBytes> key);

// Strict: exactly kKeyTextLength characters of the standard alphabet, the padding in its place and
// the two unused bits zero, so that one key has one text. Takes time that depends on the validity
// of the text only. The errors never repeat the text, which may be a secret.
[[nodiscard]] Result<tunnel::PublicKey> parse_public_key(std::string_view text);
[[nodiscard]] Result<tunnel::PrivateKey> parse_private_key(std::string_view text);
[[nodiscard]] Result<tunnel::PresharedKey> parse_preshared_key(std::string_view text);

// From the kernel's CSPRNG; the private key is clamped.
[[nodiscard]] tunnel::PrivateKey generate_private_key();
[[nodiscard]] tunnel::PresharedKey generate_preshared_key();

[[nodiscard]] Result<tunnel::PublicKey> derive_public_key(const tunnel::PrivateKey& private_key);

// True for the public keys with which every Diffie-Hellman result is zero: no peer can own one.
[[nodiscard]] bool is_low_order(const tunnel::PublicKey& public_key);

// A file that holds one key as text and at most one line end after it. Refused unless it is a
// regular file, owned by this user or root, and closed to group and others.
[[nodiscard]] Result<tunnel::PrivateKey> read_private_key_file(const std::string& path);
[[nodiscard]] Result<tunnel::PresharedKey> read_preshared_key_file(const std::string& path);

}  // namespace ringway::control
