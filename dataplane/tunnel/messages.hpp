// Every wire format, limit and timeout of the tunnel. Types 1 to 4 are WireGuard's, byte for byte;
// Ringway adds only the suite in byte 1, which WireGuard keeps zero. Sizes in bytes.
// Source: WireGuard whitepaper (Donenfeld, NDSS 2017), sections 5.4 and 6; values as in the Linux
// implementation's messages.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace ringway::tunnel {

// The cipher suite of a session, as it stands in byte 1 of every message.
enum class Suite : std::uint8_t {
  kChaCha20Poly1305 = 0,  // stock WireGuard
  kAes256Gcm = 1,         // between Ringway nodes that are configured or certified to have it
};
inline constexpr std::size_t kSuiteCount = 2;
[[nodiscard]] constexpr std::string_view suite_name(Suite suite) {
  return suite == Suite::kAes256Gcm ? "aes256gcm" : "chacha20poly1305";
}

enum class MessageType : std::uint8_t {
  kInitiation = 1,
  kResponse = 2,
  kCookieReply = 3,
  kData = 4,
};

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kHashBytes = 32;
inline constexpr std::size_t kTagBytes = 16;        // both suites' authentication tag
inline constexpr std::size_t kMacBytes = 16;        // mac1, mac2, cookie
inline constexpr std::size_t kTimestampBytes = 12;  // TAI64N
inline constexpr std::size_t kCookieNonceBytes = 24;

using PublicKey = std::array<std::uint8_t, kKeyBytes>;
using PrivateKey = SecretBytes<kKeyBytes>;
using PresharedKey = SecretBytes<kKeyBytes>;  // all zero where unset
using Mac = std::array<std::uint8_t, kMacBytes>;
using Tai64n = std::array<std::uint8_t, kTimestampBytes>;  // big-endian: compares bytewise

// The first four bytes of every message: type, suite, zero, zero.
struct MessageHeader {
  MessageType type;
  Suite suite;
};
inline constexpr std::size_t kMessageHeaderBytes = 4;

// type 1: header(4) sender(4) ephemeral(32) static(32+16) timestamp(12+16) mac1(16) mac2(16)
struct InitiationLayout {
  static constexpr std::size_t kSender = 4;
  static constexpr std::size_t kEphemeral = 8;
  static constexpr std::size_t kStatic = 40;
  static constexpr std::size_t kTimestamp = 88;
  static constexpr std::size_t kMac1 = 116;
  static constexpr std::size_t kMac2 = 132;
  static constexpr std::size_t kSize = 148;
};
// type 2: header(4) sender(4) receiver(4) ephemeral(32) empty(16) mac1(16) mac2(16)
struct ResponseLayout {
  static constexpr std::size_t kSender = 4;
  static constexpr std::size_t kReceiver = 8;
  static constexpr std::size_t kEphemeral = 12;
  static constexpr std::size_t kEmpty = 44;
  static constexpr std::size_t kMac1 = 60;
  static constexpr std::size_t kMac2 = 76;
  static constexpr std::size_t kSize = 92;
};
// type 3: header(4) receiver(4) nonce(24) cookie(16+16)
struct CookieReplyLayout {
  static constexpr std::size_t kReceiver = 4;
  static constexpr std::size_t kNonce = 8;
  static constexpr std::size_t kCookie = 32;
  static constexpr std::size_t kSize = 64;
};
// type 4: header(4) receiver(4) counter(8) ciphertext(n) tag(16)
struct DataLayout {
  static constexpr std::size_t kReceiver = 4;
  static constexpr std::size_t kCounter = 8;
  static constexpr std::size_t kCiphertext = 16;
  static constexpr std::size_t kOverhead = 32;  // header, counter and tag
  static constexpr std::size_t kMinSize = 32;   // a keepalive
};
inline constexpr std::size_t kMaxHandshakeBytes = InitiationLayout::kSize;
inline constexpr std::size_t kPaddingMultiple = 16;

// The header of `message`, or false when it is shorter than a header, its type or suite is unknown,
// or its reserved bytes are not zero.
[[nodiscard]] constexpr bool parse_message_header(ConstBytes message, MessageHeader& header) {
  if (message.size() < kMessageHeaderBytes) return false;
  if (message[0] < 1 || message[0] > 4 || message[1] >= kSuiteCount) return false;
  if (message[2] != 0 || message[3] != 0) return false;
  header = {static_cast<MessageType>(message[0]), static_cast<Suite>(message[1])};
  return true;
}
inline void emit_message_header(std::uint8_t* to, MessageType type, Suite suite) {
  to[0] = static_cast<std::uint8_t>(type);
  to[1] = static_cast<std::uint8_t>(suite);
  to[2] = 0;
  to[3] = 0;
}

// Inside a session the first nibble of a plaintext says what it is.
inline constexpr std::uint8_t kControlFrameNibble = 0xC;  // 4 and 6 are IP; empty is a keepalive

// Timeouts.
inline constexpr Duration kRekeyAfterTime = Duration::seconds(120);
inline constexpr Duration kRejectAfterTime = Duration::seconds(180);
inline constexpr Duration kRekeyTimeout = Duration::seconds(5);
inline constexpr std::int64_t kRekeyTimeoutJitterMs = 333;  // 0..333 ms on top
inline constexpr Duration kRekeyAttemptTime = Duration::seconds(90);
inline constexpr int kMaxHandshakeRetries = 18;  // kRekeyAttemptTime / kRekeyTimeout
inline constexpr Duration kKeepaliveTimeout = Duration::seconds(10);
inline constexpr Duration kNewHandshakeAfterUnanswered = kKeepaliveTimeout + kRekeyTimeout;
// On receive the initiator rekeys this old, so that a receive-only peer is not cut off.
inline constexpr Duration kRekeyOnReceiveAfter =
    kRejectAfterTime - kKeepaliveTimeout - kRekeyTimeout;
inline constexpr Duration kEraseKeysAfter = kRejectAfterTime * 3;
inline constexpr Duration kCookieSecretLifetime = Duration::seconds(120);
inline constexpr Duration kCookieUsableFor = Duration::seconds(115);
inline constexpr Duration kMinInitiationInterval = Duration::milliseconds(20);  // 50/s a peer
inline constexpr Duration kCrossedInitiationWait = Duration::seconds(1);  // SECURITY: Ringway peers

// Packet limits of a session. ChaCha20-Poly1305: WireGuard's. AES-256-GCM: NIST SP 800-38D's
// margin for one key, kept far below the birthday bound.
struct PacketLimits {
  std::uint64_t rekey_after;
  std::uint64_t reject_after;
};
inline constexpr std::uint64_t kReplayWindowBits = 8192;
[[nodiscard]] constexpr PacketLimits packet_limits(Suite suite) {
  if (suite == Suite::kAes256Gcm) return {std::uint64_t{1} << 29, std::uint64_t{1} << 31};
  return {std::uint64_t{1} << 60, UINT64_MAX - kReplayWindowBits - 1};
}

inline constexpr std::size_t kMaxStagedPacketsPerPeer = 128;
inline constexpr std::uint8_t kHandshakeTrafficClass = 0x88;  // DSCP AF41, as WireGuard marks them

}  // namespace ringway::tunnel
