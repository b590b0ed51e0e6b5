// Fairness between peers while a worker cannot do everything: who takes the most is refused the
// excess before it is opened or sealed, so that the worker keeps up with its receive rings and the
// others lose nothing there. What a peer may take is found as in approximate fair dropping (Pan,
// Breslau, Prabhakar, Shenker 2003), by how full the rings are; what is refused is what is above it
// within a window, and no probability, since refusing must cost next to nothing.
//
//           rings above kFillHigh,          │ quota = 3/4 of the greediest peer's work,
//           and more than one peer          ▼ then 7/8 of itself in each window that is no better
//   free ───────────────────────────► sharing
//        ◄─────────────────────────── quota + 1/8 in each window below kFillLow, until
//           it is twice what anybody takes
//
// Nobody is refused what is below an equal share of the work that was done. One worker.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.hpp"

namespace ringway {

// Of a peer: the work done for it, both ways, in the window named.
struct WorkShare {
  std::uint32_t window = 0;
  std::uint32_t work = 0;
};

class FairShare {
 public:
  // Well below what it takes to fill a receive ring of 1,024 packets: all of a quota may come at
  // the window's begin.
  static constexpr Duration kWindow = Duration::milliseconds(1);
  // Means over a window, in percent. Below the first, nothing is counted.
  static constexpr std::uint32_t kFillLow = 10;
  static constexpr std::uint32_t kFillHigh = 30;
  // What a packet costs beside its bytes, as bytes: by AF_XDP in copy mode a gateway forwards
  // hardly more small packets than large ones (docs/BENCHMARKS.md).
  static constexpr std::uint32_t kPacketWork = 1000;
  // Two peers are enough, if the other was heard within this time: a polite one may send little.
  static constexpr Duration kCompanyLasts = Duration::seconds(1);

  // Once a turn: how full the fullest receive ring is, in percent.
  void observe(std::uint32_t fill_percent, Instant now) {
    fill_sum_ += fill_percent;
    ++turns_;
    if (now - window_start_ >= kWindow) end_window(now);
  }

  // Whether work is to be charged.
  [[nodiscard]] bool counts() const { return counts_; }
  // A packet of this peer goes on.
  void charge(WorkShare& share, std::uint32_t packet_bytes) {
    if (share.window != window_) {
      share = {window_, 0};
      ++peers_;
    }
    share.work += kPacketWork + packet_bytes;
    total_ += kPacketWork + packet_bytes;
    most_ = std::max(most_, share.work);
  }
  // Whether the peer has had its quota. Charges nothing: it may be a forger who asks.
  [[nodiscard]] bool refuses(const WorkShare& share) const {
    return share.work >= quota_ && share.window == window_;
  }

 private:
  static constexpr std::uint32_t kNoQuota = UINT32_MAX;

  void end_window(Instant now) {
    const std::uint64_t fill = fill_sum_ / turns_;
    if (peers_ > 1) company_until_ = now + kCompanyLasts;
    if (fill > kFillHigh && now < company_until_ && peers_ > 0) {
      const std::uint32_t wanted = quota_ == kNoQuota ? most_ / 4 * 3 : quota_ / 8 * 7;
      quota_ = std::max(wanted, static_cast<std::uint32_t>(total_ / peers_));
    } else if (quota_ != kNoQuota && fill < kFillLow) {
      quota_ += quota_ / 8 + 1;
      if (quota_ / 2 > most_) quota_ = kNoQuota;
    }
    counts_ = fill >= kFillLow || quota_ != kNoQuota;
    // A peer's share that says 0 was never charged.
    if (++window_ == 0) window_ = 1;
    window_start_ = now;
    fill_sum_ = turns_ = peers_ = most_ = 0;
    total_ = 0;
  }

  Instant window_start_ = Instant::distant_past();
  Instant company_until_ = Instant::distant_past();
  std::uint32_t window_ = 1;
  std::uint32_t quota_ = kNoQuota;
  bool counts_ = false;
  // Of this window:
  std::uint32_t fill_sum_ = 0;
  std::uint32_t turns_ = 0;
  std::uint32_t peers_ = 0;
  std::uint32_t most_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace ringway
