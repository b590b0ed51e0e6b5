// The ways to a peer. A session refers to the peer's set of paths, never to one address: data takes
// the best, and the set changes without touching keys or counters.
#pragma once

#include <algorithm>
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

// The best one stands first, where a packet finds it beside what else it needs of its peer.
class PathSet {
 public:
  static constexpr std::size_t kMaxPaths = 4;

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return count_; }
  // Undefined for an empty set.
  [[nodiscard]] const Path& best() const {
    DCHECK(count_ > 0);
    return paths_.front();
  }
  // Makes `path` the best one. A set that is full forgets the one that was best the longest ago.
  void prefer(const Path& path) {
    std::size_t place = 0;
    while (place < count_ && !paths_[place].same_remote(path.remote))
      ++place;
    if (place == count_) {
      if (count_ < kMaxPaths) ++count_;
      place = count_ - 1;
    }
    std::move_backward(paths_.begin(), paths_.begin() + place, paths_.begin() + place + 1);
    paths_.front() = path;
  }
  // From now on the kernel chooses the local addresses.
  void forget_sources() {
    for (Path& path : paths_) {
      path.local = {};
      path.interface = 0;
    }
  }

 private:
  std::uint32_t count_ = 0;
  std::array<Path, kMaxPaths> paths_{};
};

}  // namespace ringway::tunnel
