#include "overlay/coordinates/coordinates.hpp"

#include <algorithm>
#include <cmath>

namespace ringway::overlay {
namespace {

constexpr float kErrorUnits = 254;

float to_ms(int units) {
  return static_cast<float>(units) / Coordinate::kUnitsPerMs;
}

int to_units(float ms) {
  return static_cast<int>(std::clamp(ms * Coordinate::kUnitsPerMs,
                                     -static_cast<float>(Coordinate::kMost),
                                     static_cast<float>(Coordinate::kMost)));
}

}  // namespace

void Coordinates::on_heard(Link& link, const Coordinate& theirs) {
  link.coordinate = theirs;
  if (!link.rtt.known() ||
      core_.now() < link.coordinate_used + core_.parameters.coordinates.sample_interval)
    return;
  link.coordinate_used = core_.now();
  sample(link.rtt.mean(), theirs);
}

// Two nodes at the same place push each other away, each in a direction of its own: that of some
// bits of its ID.
Coordinates::Direction Coordinates::own_direction() const {
  constexpr std::uint32_t kMost = 1023;
  constexpr float kMiddle = 511;
  const Distance& bits = core_.self().from_zero();
  const float x = static_cast<float>(bits.low & kMost) - kMiddle;
  const float y = static_cast<float>((bits.low >> 16) & kMost) - kMiddle;
  const float length = std::sqrt(x * x + y * y);
  if (length == 0) return {1, 0};
  return {x / length, y / length};
}

void Coordinates::sample(Duration rtt, const Coordinate& theirs) {
  const CoordinateParameters& p = core_.parameters.coordinates;
  const float rtt_ms = static_cast<float>(rtt.count_ns()) * 1e-6F;
  if (rtt_ms <= 0 || rtt_ms > p.longest_rtt_ms) return;
  const float their_error =
      theirs.known() ? std::max(static_cast<float>(theirs.error) / kErrorUnits, p.least_error) : 1;
  const float dx = x_ms_ - to_ms(theirs.x);
  const float dy = y_ms_ - to_ms(theirs.y);
  const float plane = std::sqrt(dx * dx + dy * dy);
  const float heights = height_ms_ + to_ms(theirs.height);
  const float distance = plane + heights;
  const float weight = error_ / (error_ + their_error);

  const float sample_error = std::min(std::fabs(distance - rtt_ms) / rtt_ms, 1.0F);
  const float gain = p.error_gain * weight;
  error_ = std::clamp(sample_error * gain + error_ * (1 - gain), p.least_error, 1.0F);

  const float most = p.most_move_ms * error_;
  const float force = std::clamp(p.move_gain * weight * (rtt_ms - distance), -most, most);
  const Direction away = plane > 0 ? Direction{dx / plane, dy / plane} : own_direction();
  const float part = distance > 0 ? plane / distance : 1;
  x_ms_ += force * part * away.x;
  y_ms_ += force * part * away.y;
  height_ms_ = std::max(height_ms_ + force * (1 - part), p.least_height_ms);
  publish();
}

void Coordinates::publish() {
  core_.coordinate.x = static_cast<std::int16_t>(to_units(x_ms_));
  core_.coordinate.y = static_cast<std::int16_t>(to_units(y_ms_));
  core_.coordinate.height = static_cast<std::uint16_t>(to_units(height_ms_));
  core_.coordinate.error = static_cast<std::uint8_t>(error_ * kErrorUnits);
}

}  // namespace ringway::overlay
