// HMAC (RFC 2104) and HKDF (RFC 5869) over any hash with the shape of Blake2s. The handshake uses
// them with Blake2s (Noise revision 34, section 4.3: HKDF with an empty info); being generic, they
// can be checked with SHA-256 against the vectors that RFC 5869 gives.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace ringway::tunnel {

namespace detail {
// The key, hashed where it is longer than a block, xored with the pad byte, as one block.
template <typename HashFunction>
struct HmacPad {
  std::array<std::uint8_t, HashFunction::kBlockBytes> block{};

  HmacPad(ConstBytes key, std::uint8_t pad) {
    if (key.size() > block.size()) {
      HashFunction hash;
      hash.update(key);
      hash.finish(block.data());
    } else {
      std::copy(key.begin(), key.end(), block.begin());
    }
    for (std::uint8_t& byte : block)
      byte = static_cast<std::uint8_t>(byte ^ pad);
  }
  ~HmacPad() { secure_wipe(block.data(), block.size()); }
  HmacPad(const HmacPad&) = delete;
  HmacPad& operator=(const HmacPad&) = delete;
};
inline constexpr std::uint8_t kInnerPad = 0x36;
inline constexpr std::uint8_t kOuterPad = 0x5c;
}  // namespace detail

// A key absorbed once, for any number of messages of at least one byte.
template <typename HashFunction>
class Hmac {
 public:
  using Digest = typename HashFunction::Digest;

  explicit Hmac(ConstBytes key) {
    inner_.update(detail::HmacPad<HashFunction>(key, detail::kInnerPad).block);
    inner_.commit_block();
    outer_.update(detail::HmacPad<HashFunction>(key, detail::kOuterPad).block);
    outer_.commit_block();
  }

  // The MAC of the concatenation of `parts`, written to `mac` (kDigestBytes).
  template <typename... Parts>
  void sign(std::uint8_t* mac, const Parts&... parts) const {
    DCHECK((std::size(parts) + ... + 0) > 0);
    HashFunction inner = inner_;
    (inner.update(parts), ...);
    HashFunction outer = outer_;
    Digest digest;
    inner.finish(digest.data());
    outer.update(digest);
    outer.finish(mac);
    secure_wipe(digest.data(), digest.size());
  }

 private:
  HashFunction inner_;
  HashFunction outer_;
};

// One message, which may be empty.
template <typename HashFunction>
void hmac(ConstBytes key, ConstBytes message, std::uint8_t* mac) {
  HashFunction inner;
  inner.update(detail::HmacPad<HashFunction>(key, detail::kInnerPad).block);
  inner.update(message);
  typename HashFunction::Digest digest;
  inner.finish(digest.data());
  HashFunction outer;
  outer.update(detail::HmacPad<HashFunction>(key, detail::kOuterPad).block);
  outer.update(digest);
  outer.finish(mac);
  secure_wipe(digest.data(), digest.size());
}

// HKDF-Expand (RFC 5869, section 2.3): fills `out`, at most 255 digests.
template <typename HashFunction>
void hkdf_expand(ConstBytes pseudorandom_key, ConstBytes info, Bytes out) {
  const Hmac<HashFunction> keyed(pseudorandom_key);
  SecretBytes<HashFunction::kDigestBytes> block;
  std::size_t previous_bytes = 0;
  for (std::uint8_t number[1] = {1}; !out.empty(); ++number[0]) {
    keyed.sign(block.data(), block.span().first(previous_bytes), info, number);
    previous_bytes = HashFunction::kDigestBytes;
    const std::size_t take = std::min(out.size(), previous_bytes);
    std::memcpy(out.data(), block.data(), take);
    out = out.subspan(take);
  }
}

// HKDF (RFC 5869): extract with `salt`, then expand.
template <typename HashFunction>
void hkdf(ConstBytes salt, ConstBytes input_key, ConstBytes info, Bytes out) {
  SecretBytes<HashFunction::kDigestBytes> pseudorandom_key;
  hmac<HashFunction>(salt, input_key, pseudorandom_key.data());
  hkdf_expand<HashFunction>(pseudorandom_key.span(), info, out);
}

}  // namespace ringway::tunnel
