#include "controlplane/keys.hpp"

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/file_descriptor.hpp"
#include "base/rng.hpp"

namespace ringway::control {
namespace {

using tunnel::kKeyBytes;

// All ones where low <= value <= high, else zero; without a branch. Values are below 256.
constexpr std::uint32_t mask_if_between(std::uint32_t value, std::uint32_t low,
                                        std::uint32_t high) {
  return (((value - low) | (high - value)) >> 31) - 1U;
}

// The character for six bits. 'A' + v, corrected where v passes 25, 51, 61 and 62.
char encode_sextet(std::uint32_t value) {
  std::uint32_t character = value + 'A';
  character += mask_if_between(value, 26, 63) & ('a' - 'Z' - 1);
  character -= mask_if_between(value, 52, 63) & ('a' + 26 - '0');
  character -= mask_if_between(value, 62, 63) & ('0' + 10 - '+');
  character += mask_if_between(value, 63, 63) & ('/' - '+' - 1);
  return static_cast<char>(character);
}

// The six bits of a character; bit 31 set when it is none of the alphabet.
std::uint32_t decode_sextet(char from) {
  const std::uint32_t c = static_cast<unsigned char>(from);
  const std::uint32_t upper = mask_if_between(c, 'A', 'Z');
  const std::uint32_t lower = mask_if_between(c, 'a', 'z');
  const std::uint32_t digit = mask_if_between(c, '0', '9');
  const std::uint32_t plus = mask_if_between(c, '+', '+');
  const std::uint32_t slash = mask_if_between(c, '/', '/');
  const std::uint32_t known = upper | lower | digit | plus | slash;
  return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) | (plus & 62) |
         (slash & 63) | (~known & 0x80000000U);
}

tl::unexpected<Error> not_a_key() {
  return failure("not a key", "expected 44 characters of base64, as `ringway genkey` prints them");
}

bool decode_key(std::string_view text, std::span<std::uint8_t, kKeyBytes> key) {
  if (text.size() != kKeyTextLength || text.back() != '=') return false;
  std::uint32_t flaws = 0;
  std::size_t out = 0;
  for (std::size_t in = 0; in < kKeyTextLength; in += 4) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const char character = in + i == kKeyTextLength - 1 ? 'A' : text[in + i];
      const std::uint32_t sextet = decode_sextet(character);
      flaws |= sextet & 0x80000000U;
      group = group << 6 | (sextet & 63);
    }
    for (int shift = 16; shift >= 0; shift -= 8) {
      const auto byte = static_cast<std::uint8_t>(group >> shift);
      if (out < kKeyBytes) {
        key[out++] = byte;
      } else {
        flaws |= byte;  // bits behind the last byte
      }
    }
  }
  return flaws == 0;
}

template <typename Secret>
Result<Secret> parse_secret(std::string_view text) {
  Secret key;
  if (!decode_key(text, key.span())) return not_a_key();
  return key;
}

struct FreeEvp {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using EvpKey = std::unique_ptr<EVP_PKEY, FreeEvp>;
using EvpContext = std::unique_ptr<EVP_PKEY_CTX, FreeEvp>;

Result<void> check_key_file_access(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_failure("reading key file " + path, errno);
  if (!S_ISREG(info.st_mode)) return failure("key file " + path + " is not a regular file");
  if ((info.st_mode & 077U) != 0) {
    return failure("key file " + path + " is accessible to group or others",
                   "run: chmod 600 " + path);
  }
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    return failure("key file " + path + " belongs to another user",
                   "run: chown " + std::to_string(::geteuid()) + " " + path);
  }
  return {};
}

// Room to notice that there is more than a key.
using KeyFileText = SecretBytes<kKeyTextLength + 2>;

template <typename Secret>
Result<Secret> read_key_file(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not hang before it is refused.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.open()) {
    const int error = errno;
    return system_failure("opening key file " + path, error,
                          error == ENOENT ? "create it: (umask 077; ringway genkey > " + path + ")"
                          : error == EACCES ? "run as the user that owns it, or as root"
                                            : "");
  }
  if (auto allowed = check_key_file_access(file.get(), path); !allowed) {
    return tl::unexpected(allowed.error());
  }
  KeyFileText text;
  std::size_t length = 0;
  while (length < KeyFileText::kSize) {
    const ssize_t got = ::read(file.get(), text.data() + length, KeyFileText::kSize - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("reading key file " + path, errno);
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  if (length == kKeyTextLength + 1 && text.data()[kKeyTextLength] == '\n') --length;
  auto key = parse_secret<Secret>({reinterpret_cast<const char*>(text.data()), length});
  if (!key) {
    return failure("key file " + path + " does not hold a key",
                   "expected one line of 44 base64 characters, as `ringway genkey` prints it");
  }
  return key;
}

}  // namespace

std::string key_to_text(std::span<const std::uint8_t, kKeyBytes> key) {
  std::string text(kKeyTextLength, '=');
  for (std::size_t i = 0; i < kKeyTextLength - 1; ++i) {
    const std::size_t bit = i * 6;
    const std::size_t byte = bit / 8;
    const std::uint32_t next = byte + 1 < kKeyBytes ? key[byte + 1] : 0U;
    const std::uint32_t pair = static_cast<std::uint32_t>(key[byte]) << 8 | next;
    text[i] = encode_sextet(pair >> (10 - bit % 8) & 63);
  }
  return text;
}

Result<tunnel::PublicKey> parse_public_key(std::string_view text) {
  tunnel::PublicKey key{};
  if (!decode_key(text, key)) return not_a_key();
  return key;
}

Result<tunnel::PrivateKey> parse_private_key(std::string_view text) {
  return parse_secret<tunnel::PrivateKey>(text);
}

Result<tunnel::PresharedKey> parse_preshared_key(std::string_view text) {
  return parse_secret<tunnel::PresharedKey>(text);
}

tunnel::PrivateKey generate_private_key() {
  tunnel::PrivateKey key;
  SystemRng().fill(key.span());
  key.data()[0] &= 0xf8;
  key.data()[31] = static_cast<std::uint8_t>((key.data()[31] & 0x7f) | 0x40);
  return key;
}

tunnel::PresharedKey generate_preshared_key() {
  tunnel::PresharedKey key;
  SystemRng().fill(key.span());
  return key;
}

Result<tunnel::PublicKey> derive_public_key(const tunnel::PrivateKey& private_key) {
  const EvpKey key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, private_key.data(), kKeyBytes));
  tunnel::PublicKey public_key{};
  std::size_t length = public_key.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &length) != 1 ||
      length != public_key.size()) {
    return failure("OpenSSL could not derive an X25519 public key");
  }
  return public_key;
}

bool is_low_order(const tunnel::PublicKey& public_key) {
  // Any clamped scalar is a multiple of the cofactor: it sends exactly the low-order points to
  // zero, which OpenSSL reports as a failed derivation.
  const std::array<std::uint8_t, kKeyBytes> scalar{8};
  const EvpKey own(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, scalar.data(), scalar.size()));
  const EvpKey theirs(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, public_key.data(), public_key.size()));
  if (!own || !theirs) return true;
  const EvpContext context(EVP_PKEY_CTX_new(own.get(), nullptr));
  SecretBytes<kKeyBytes> shared;
  std::size_t length = kKeyBytes;
  return !context || EVP_PKEY_derive_init(context.get()) != 1 ||
         EVP_PKEY_derive_set_peer(context.get(), theirs.get()) != 1 ||
         EVP_PKEY_derive(context.get(), shared.data(), &length) != 1;
}

Result<tunnel::PrivateKey> read_private_key_file(const std::string& path) {
  return read_key_file<tunnel::PrivateKey>(path);
}

Result<tunnel::PresharedKey> read_preshared_key_file(const std::string& path) {
  return read_key_file<tunnel::PresharedKey>(path);
}

}  // namespace ringway::control
