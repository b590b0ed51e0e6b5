// Small numbers that name things, each its own type so that one cannot be passed for another.
#pragma once

#include <compare>
#include <cstddef>
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

// One of the process's workers.
struct WorkerId {
  std::uint8_t value = 0;
  constexpr auto operator<=>(const WorkerId&) const = default;
};
// What four bits of a receiver index can tell apart.
inline constexpr std::size_t kMaxWorkers = 16;

// The index by which the receiver of a message finds its session or handshake. Drawn by the
// receiver, random, but for its low bits: the slot in the session table, and above it the worker
// that owns it.
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
