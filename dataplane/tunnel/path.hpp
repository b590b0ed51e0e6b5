// The ways to a peer. A session refers to the peer's set of paths, never to one address: data takes
// the best, and the set changes without touching keys or counters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "base/net/address.hpp"

namespace ringway::tunnel {

// One direct way: where to send, and the local address to send from where that is known.
struct Path {
  net::Endpoint remote;
  net::IpAddress local;
  std::uint32_t interface = 0;  // 0: `local` is unknown, the kernel chooses

  [[nodiscard]] bool same_remote(const net::Endpoint& other) const { return remote == other; }
};

class PathSet {
 public:
  static constexpr std::size_t kMaxPaths = 4;

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return count_; }
  // Undefined for an empty set.
  [[nodiscard]] const Path& best() const {
    DCHECK(count_ > 0);
    return paths_[best_];
  }
  // Makes `path` the best one. A set that is full forgets the path after the old best.
  void prefer(const Path& path) {
    for (std::size_t i = 0; i < count_; ++i) {
      if (paths_[i].same_remote(path.remote)) {
        paths_[i] = path;
        best_ = i;
        return;
      }
    }
    best_ = count_ < kMaxPaths ? count_++ : (best_ + 1) % kMaxPaths;
    paths_[best_] = path;
  }
  // From now on the kernel chooses the local addresses.
  void forget_sources() {
    for (Path& path : paths_) {
      path.local = {};
      path.interface = 0;
    }
  }

 private:
  std::array<Path, kMaxPaths> paths_{};
  std::size_t count_ = 0;
  std::size_t best_ = 0;
};

}  // namespace ringway::tunnel
