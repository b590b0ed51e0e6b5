// The fingerprint of a run: everything that happened, in order. Two runs with the same fingerprint
// had the same history; not meant to withstand an adversary.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace ringway::overlay::sim {

class History {
 public:
  void add(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  }
  void add(ConstBytes bytes) {
    add(bytes.size());
    while (bytes.size() >= 8) {
      add(load_le<std::uint64_t>(bytes.data()));
      bytes = bytes.subspan(8);
    }
    std::uint64_t rest = 0;
    for (const std::uint8_t byte : bytes)
      rest = (rest << 8) | byte;
    add(rest);
  }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

 private:
  std::uint64_t hash_ = 0x517cc1b727220a95;
};

}  // namespace ringway::overlay::sim
