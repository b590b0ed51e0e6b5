// Small numbers that name things, each its own type so that one cannot be passed for another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace ringway {

// A peer of this node: a dense index handed out by the control plane, reused only after every
// worker has confirmed the peer's removal.
struct PeerId {
  std::uint32_t value = UINT32_MAX;
  static constexpr PeerId none() { return {}; }
  constexpr auto operator<=>(const PeerId&) const = default;
};

// The index by which the receiver of a message finds its session or handshake. Drawn by the
// receiver, random; its low bits are the slot in the session table.
struct ReceiverIndex {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const ReceiverIndex&) const = default;
};

}  // namespace ringway

template <>
struct std::hash<ringway::PeerId> {
  std::size_t operator()(ringway::PeerId id) const noexcept { return id.value; }
};
template <>
struct std::hash<ringway::ReceiverIndex> {
  std::size_t operator()(ringway::ReceiverIndex index) const noexcept { return index.value; }
};
