// Where a turn's time goes: cycles of the time stamp counter, by stage. A worker has one only while
// it is measured (ringway-bench pipeline --stages); without it a stage's edge costs a test of a
// pointer for a whole batch. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace ringway {

// In the order of docs/PACKET_FLOW.md, the way in first.
#define RINGWAY_STAGES(X)             \
  X(kReceive, "receive")              \
  X(kClassify, "classify")            \
  X(kFind, "find")                    \
  X(kOpen, "open")                    \
  X(kAccept, "accept")                \
  X(kAdmit, "admit")                  \
  X(kDeliver, "deliver")              \
  X(kPart, "part")                    \
  X(kTranslate, "translate")          \
  X(kRoute, "route")                  \
  X(kFrame, "reserve and frame")      \
  X(kSeal, "seal")                    \
  X(kEncapsulate, "encapsulate")      \
  X(kOuterChecksum, "outer checksum") \
  X(kTransmit, "transmit")            \
  X(kRest, "rest of the turn")

enum class Stage : std::uint8_t {
#define RINGWAY_STAGE(name, text) name,
  RINGWAY_STAGES(RINGWAY_STAGE)
#undef RINGWAY_STAGE
};
inline constexpr std::string_view kStageNames[] = {
#define RINGWAY_STAGE(name, text) text,
    RINGWAY_STAGES(RINGWAY_STAGE)
#undef RINGWAY_STAGE
};
inline constexpr std::size_t kStageCount = std::size(kStageNames);

class StageClock {
 public:
  // What follows belongs to the stage whose end is told next.
  void start() { last_ = now(); }
  // The time since the last edge was this stage's.
  void end(Stage stage) {
    const std::uint64_t edge = now();
    cycles_[static_cast<std::size_t>(stage)] += edge - last_;
    last_ = edge;
  }
  // So much of the time since the last edge was nobody's.
  void leave_out(std::uint64_t cycles) { last_ += cycles; }

  [[nodiscard]] std::uint64_t cycles(Stage stage) const {
    return cycles_[static_cast<std::size_t>(stage)];
  }

 private:
  [[nodiscard]] static std::uint64_t now() { return __builtin_ia32_rdtsc(); }

  std::array<std::uint64_t, kStageCount> cycles_{};
  std::uint64_t last_ = 0;
};

// At a stage's end.
inline void end_stage(StageClock* clock, Stage stage) {
  if (clock != nullptr) clock->end(stage);
}

}  // namespace ringway
