#include "overlay/node_id.hpp"

namespace ringway::overlay {
namespace {

constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr unsigned kBitsPerCharacter = 5;

}  // namespace

NodeId NodeId::from_bytes(const std::uint8_t* big_endian) {
  return NodeId(Distance{load_be<std::uint64_t>(big_endian), load_be<std::uint64_t>(big_endian + 8),
                         load_be<std::uint32_t>(big_endian + 16)});
}

void NodeId::to_bytes(std::uint8_t* big_endian) const {
  store_be(big_endian, from_zero_.high);
  store_be(big_endian + 8, from_zero_.middle);
  store_be(big_endian + 16, from_zero_.low);
}

NodeId NodeId::random(Rng& rng) {
  std::uint8_t bytes[kBytes];
  rng.fill(bytes);
  return from_bytes(bytes);
}

std::string NodeId::to_string() const {
  std::uint8_t bytes[kBytes];
  to_bytes(bytes);
  std::string text;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    for (count += 8; count >= kBitsPerCharacter; count -= kBitsPerCharacter)
      text += kBase32[(bits >> (count - kBitsPerCharacter)) & 31];
  }
  return text;
}

std::optional<NodeId> NodeId::parse(std::string_view text) {
  if (text.size() != kTextLength) return std::nullopt;
  std::uint8_t bytes[kBytes];
  std::uint32_t bits = 0;
  unsigned count = 0;
  std::size_t at = 0;
  for (const char character : text) {
    const std::size_t value = kBase32.find(character);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << kBitsPerCharacter) | static_cast<std::uint32_t>(value);
    count += kBitsPerCharacter;
    if (count < 8) continue;
    count -= 8;
    bytes[at++] = static_cast<std::uint8_t>(bits >> count);
  }
  return from_bytes(bytes);
}

}  // namespace ringway::overlay
