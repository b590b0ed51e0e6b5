// Control frames: what two Ringway nodes say to each other inside a session. Wire format, after
// decryption:
//
//   byte 0   0xC0   first nibble 0xC: a control frame; second nibble 0: version
//   byte 1   type
//   byte 2.. body, by type; what follows it is padding and is ignored
//
//   1 hello           suites(1): bit n set = suite n usable; in_use(1): this session's suite
//   2 path challenge  nonce(8)
//   3 path response   nonce(8), as it came
//
// A challenge and its response are equally long, so neither amplifies. docs/PROTOCOL.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::tunnel {

// The first frame on a session, both ways: each end learns what the other has, and drops a session
// whose suite the other did not mean.
struct HelloFrame {
  std::uint8_t suites = 0;
  Suite in_use = Suite::kChaCha20Poly1305;
};
struct PathChallengeFrame {
  std::array<std::uint8_t, 8> nonce{};
};
struct PathResponseFrame {
  std::array<std::uint8_t, 8> nonce{};
};
using ControlFrame = std::variant<HelloFrame, PathChallengeFrame, PathResponseFrame>;

inline constexpr std::size_t kControlFrameBytes = 16;  // every frame so far, padding included

// Empty for an unknown version or type, and for a body that is cut short.
[[nodiscard]] std::optional<ControlFrame> parse_control_frame(ConstBytes frame);
[[nodiscard]] std::array<std::uint8_t, kControlFrameBytes> emit_control_frame(
    const ControlFrame& frame);

}  // namespace ringway::tunnel
