// BLAKE2s (RFC 7693), the hash of the handshake, written out here because a handshake compresses
// about eighty blocks in calls of one to three blocks each: OpenSSL's EVP interface doubles the
// cost of so short a call, cannot resume from a state after the key block of an HMAC without an
// allocation, and libsodium has BLAKE2b only. Checked against RFC 7693 and OpenSSL in
// primitives_test.cpp. Any thread; an object belongs to one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"

namespace ringway::tunnel {

class Blake2s {
 public:
  static constexpr std::size_t kDigestBytes = 32;
  static constexpr std::size_t kBlockBytes = 64;
  using Digest = std::array<std::uint8_t, kDigestBytes>;

  // digest_bytes: 1..32. key: up to 32 bytes; a keyed hash is a MAC.
  explicit Blake2s(std::size_t digest_bytes = kDigestBytes, ConstBytes key = {});
  Blake2s(const Blake2s&) = default;
  Blake2s& operator=(const Blake2s&) = default;
  ~Blake2s() { secure_wipe(this, sizeof *this); }

  void update(ConstBytes data);
  // What was absorbed ends at a block boundary, and more will follow: compresses the pending block
  // now, so that copies of this object need not do it again.
  void commit_block();
  // Writes the digest; the object is spent.
  void finish(std::uint8_t* digest);
  [[nodiscard]] Digest finish();
  // What finish() would give after update(tail), for each tail: one digest behind the other. Side
  // by side in the lanes of vectors where the processor has them and there are as many tails. Only
  // behind commit_block(); the object is not spent.
  void finish_each(std::span<const std::uint8_t* const> tails, std::size_t tail_bytes,
                   std::uint8_t* digests) const;

 private:
  void compress(const std::uint8_t* block, std::uint32_t final_mask);

  std::array<std::uint32_t, 8> state_;
  std::uint64_t compressed_bytes_ = 0;
  std::uint32_t digest_bytes_;
  std::uint32_t buffered_ = 0;  // the last block must wait for finish(), so up to a whole one
  std::array<std::uint8_t, kBlockBytes> buffer_{};
};

}  // namespace ringway::tunnel
