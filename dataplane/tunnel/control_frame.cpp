#include "dataplane/tunnel/control_frame.hpp"

#include <algorithm>

namespace ringway::tunnel {
namespace {

constexpr std::uint8_t kVersionByte = 0xC0;
enum class FrameType : std::uint8_t { kHello = 1, kPathChallenge = 2, kPathResponse = 3 };
constexpr std::size_t kHeaderBytes = 2;
constexpr std::size_t kFrameNonceBytes = 8;

template <typename NonceFrame>
std::optional<ControlFrame> parse_nonce(ConstBytes body) {
  // With its padding, so that the answer is never longer than the question.
  if (body.size() < kControlFrameBytes - kHeaderBytes) return std::nullopt;
  NonceFrame frame;
  std::copy_n(body.begin(), kFrameNonceBytes, frame.nonce.begin());
  return frame;
}

std::optional<ControlFrame> parse_hello(ConstBytes body) {
  if (body.size() < 2 || body[1] >= kSuiteCount) return std::nullopt;
  return HelloFrame{body[0], static_cast<Suite>(body[1])};
}

struct Emitter {
  std::array<std::uint8_t, kControlFrameBytes> bytes{kVersionByte};

  void operator()(const HelloFrame& hello) {
    bytes[1] = static_cast<std::uint8_t>(FrameType::kHello);
    bytes[2] = hello.suites;
    bytes[3] = static_cast<std::uint8_t>(hello.in_use);
  }
  void operator()(const PathChallengeFrame& challenge) {
    bytes[1] = static_cast<std::uint8_t>(FrameType::kPathChallenge);
    std::copy(challenge.nonce.begin(), challenge.nonce.end(), bytes.begin() + kHeaderBytes);
  }
  void operator()(const PathResponseFrame& response) {
    bytes[1] = static_cast<std::uint8_t>(FrameType::kPathResponse);
    std::copy(response.nonce.begin(), response.nonce.end(), bytes.begin() + kHeaderBytes);
  }
};

}  // namespace

std::optional<ControlFrame> parse_control_frame(ConstBytes frame) {
  if (frame.size() < kHeaderBytes || frame[0] != kVersionByte) return std::nullopt;
  const ConstBytes body = frame.subspan(kHeaderBytes);
  switch (static_cast<FrameType>(frame[1])) {
    case FrameType::kHello:
      return parse_hello(body);
    case FrameType::kPathChallenge:
      return parse_nonce<PathChallengeFrame>(body);
    case FrameType::kPathResponse:
      return parse_nonce<PathResponseFrame>(body);
  }
  return std::nullopt;
}

std::array<std::uint8_t, kControlFrameBytes> emit_control_frame(const ControlFrame& frame) {
  Emitter emitter;
  std::visit(emitter, frame);
  return emitter.bytes;
}

}  // namespace ringway::tunnel
