// mac1, mac2 and cookies (WireGuard whitepaper, sections 5.3 and 5.4.7): the answer to floods of
// handshakes. CookieChecker and HandshakeRateLimiter stand at the receiver, before any public-key
// operation; CookieJar is the sender's memory for one peer.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/primitives.hpp"

namespace ringway::tunnel {

// What the workers of a node make their secrets from, so that a cookie which one of them gave is
// good at all.
using CookieSeed = SecretBytes<kHashBytes>;

// Worker thread: checks what arrives, makes cookie replies. The secret turns over by itself.
class CookieChecker {
 public:
  CookieChecker(const PublicKey& own_key, const CookieSeed& seed, Rng& rng);
  // With a seed of its own.
  CookieChecker(const PublicKey& own_key, Rng& rng);

  // `message`: a whole initiation or response of exact length.
  [[nodiscard]] bool mac1_valid(ConstBytes message) const;
  // The same of up to kMac1Batch messages, cheaper by message where many are equally long.
  static constexpr std::size_t kMac1Batch = 32;
  void check_mac1(std::span<const ConstBytes> messages, std::span<bool> valid) const;
  // False for all zeros, which is what a sender without a cookie leaves there.
  [[nodiscard]] static bool has_mac2(ConstBytes message);
  // The cookie is bound to source address and port.
  [[nodiscard]] bool mac2_valid(Instant now, ConstBytes message, const net::Endpoint& source);
  // 64 bytes, smaller than either message that can trigger it. The suite byte is the message's.
  void make_reply(Instant now, ConstBytes message, const net::Endpoint& source,
                  std::span<std::uint8_t, CookieReplyLayout::kSize> reply);

 private:
  void refresh_secret(Instant now);
  [[nodiscard]] Mac cookie_for(const net::Endpoint& source) const;

  Rng& rng_;
  Blake2sMac mac1_;  // under a flood, computed for each message of it
  std::array<std::uint8_t, kKeyBytes> cookie_key_;
  CookieSeed seed_;
  SecretBytes<kHashBytes> secret_;
  std::int64_t secret_period_ = -1;  // in which it is good
};

// Token buckets of 20/s, burst 5, by IPv4 address or IPv6 /64, in a table of fixed size.
class HandshakeRateLimiter {
 public:
  // What happens to a stranger when the table is full of live buckets.
  enum class WhenFull : std::uint8_t {
    kRefuse,   // sources are proven: so many of them are an attack
    kReplace,  // sources may be spoofed: nobody may keep an honest one out
  };
  explicit HandshakeRateLimiter(Rng& rng, std::size_t capacity = 8192,
                                WhenFull when_full = WhenFull::kRefuse);
  [[nodiscard]] bool allow(Instant now, const net::IpAddress& source);
  // Whether allow() would refuse this source for what it has been allowed already. Takes nothing.
  [[nodiscard]] bool exhausted(Instant now, const net::IpAddress& source) const;

 private:
  struct Bucket {
    std::uint64_t key = 0;
    std::int64_t tokens_ns = 0;
    Instant refilled = Instant::distant_past();
  };
  std::uint64_t hash_seed_[2];
  std::vector<Bucket> buckets_;
  WhenFull when_full_;
};

// Control thread: one a peer.
class CookieJar {
 public:
  explicit CookieJar(const PublicKey& peer_key);
  // Writes mac1, and mac2 while a cookie is fresh, into the last 32 bytes of `message`, and
  // remembers mac1.
  void stamp(Instant now, Bytes message);
  // True when the reply answers the last stamped mac1 and authenticates; a mac1 is answered once.
  [[nodiscard]] bool consume_reply(Instant now, ConstBytes reply);

 private:
  std::array<std::uint8_t, kHashBytes> mac1_key_;
  std::array<std::uint8_t, kKeyBytes> cookie_key_;
  Mac last_mac1_{};
  bool awaiting_reply_ = false;
  Mac cookie_{};
  Instant cookie_born_ = Instant::distant_past();
};

}  // namespace ringway::tunnel
