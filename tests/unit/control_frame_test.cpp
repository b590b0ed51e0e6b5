#include "dataplane/tunnel/control_frame.hpp"

#include <gtest/gtest.h>

namespace ringway::tunnel {
namespace {

TEST(ControlFrame, ReturnsWhatWasEmitted) {
  const auto hello = parse_control_frame(emit_control_frame(HelloFrame{3, Suite::kAes256Gcm}));
  ASSERT_TRUE(hello);
  EXPECT_EQ(std::get<HelloFrame>(*hello).suites, 3);
  EXPECT_EQ(std::get<HelloFrame>(*hello).in_use, Suite::kAes256Gcm);
  const PathChallengeFrame challenge{{1, 2, 3, 4, 5, 6, 7, 8}};
  const auto parsed = parse_control_frame(emit_control_frame(challenge));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(std::get<PathChallengeFrame>(*parsed).nonce, challenge.nonce);
}

TEST(ControlFrame, HasTheBytesOfTheSpecification) {
  const auto bytes = emit_control_frame(PathResponseFrame{{9, 8, 7, 6, 5, 4, 3, 2}});
  const std::array<std::uint8_t, kControlFrameBytes> expected = {0xC0, 3, 9, 8, 7, 6, 5, 4, 3, 2};
  EXPECT_EQ(bytes, expected);
}

TEST(ControlFrame, ChallengeAndResponseAreEquallyLong) {
  EXPECT_EQ(emit_control_frame(PathChallengeFrame{}).size(),
            emit_control_frame(PathResponseFrame{}).size());
}

TEST(ControlFrame, RefusesEveryTruncation) {
  for (const ControlFrame& frame :
       {ControlFrame{HelloFrame{}}, ControlFrame{PathChallengeFrame{}}}) {
    const auto bytes = emit_control_frame(frame);
    const std::size_t needed = std::holds_alternative<HelloFrame>(frame) ? 4 : 16;
    for (std::size_t length = 0; length <= bytes.size(); ++length) {
      EXPECT_EQ(parse_control_frame(ConstBytes(bytes).first(length)).has_value(), length >= needed);
    }
  }
}

TEST(ControlFrame, RefusesUnknownVersionsTypesAndSuites) {
  auto bytes = emit_control_frame(HelloFrame{1, Suite::kChaCha20Poly1305});
  bytes[0] = 0xC1;
  EXPECT_FALSE(parse_control_frame(bytes));
  bytes[0] = 0xC0;
  bytes[1] = 4;
  EXPECT_FALSE(parse_control_frame(bytes));
  bytes[1] = 0;
  EXPECT_FALSE(parse_control_frame(bytes));
  bytes[1] = 1;
  bytes[3] = 2;
  EXPECT_FALSE(parse_control_frame(bytes));
}

}  // namespace
}  // namespace ringway::tunnel
