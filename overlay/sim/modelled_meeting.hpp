// A group's secret as the simulator and tests have it: the name of a meeting is an HMAC-SHA-256 of
// the epoch, values are sealed with XChaCha20-Poly1305 under a key that follows from secret and
// epoch, bound to the name.
#pragma once

#include <array>

#include "base/rng.hpp"
#include "overlay/meeting/meeting.hpp"

namespace ringway::overlay::sim {

class ModelledMeetingSecret final : public MeetingSecret {
 public:
  // rng: for nonces.
  ModelledMeetingSecret(const std::array<std::uint8_t, 32>& secret, Rng& rng)
      : secret_(secret), rng_(rng) {}
  [[nodiscard]] MeetingName name(std::uint64_t epoch) override;
  [[nodiscard]] std::vector<std::uint8_t> seal(std::uint64_t epoch, ConstBytes plain) override;
  [[nodiscard]] std::optional<std::vector<std::uint8_t>> open(std::uint64_t epoch,
                                                              ConstBytes sealed) override;

 private:
  [[nodiscard]] std::array<std::uint8_t, 32> derive(std::uint8_t purpose, std::uint64_t epoch);

  std::array<std::uint8_t, 32> secret_;
  Rng& rng_;
};

}  // namespace ringway::overlay::sim
