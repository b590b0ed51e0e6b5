// A step by which the kernel is to follow a change of ours, tried again until it succeeds. What
// made it necessary may not come again, so its failure must not be the last word. Control thread.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "base/time.hpp"

namespace ringway::control {

class RetriedStep {
 public:
  static constexpr Duration kInterval = Duration::seconds(1);

  // step: repeatable. on_change: told of a failure, of each other one after it, and of the success
  // at last, by an empty text.
  RetriedStep(std::function<Result<void>()> step,
              std::function<void(const std::string& failure)> on_change)
      : step_(std::move(step)), on_change_(std::move(on_change)) {}

  // Now, because something has changed.
  void run(Instant now) {
    tried_at_ = now;
    const Result<void> done = step_();
    std::string failure = done ? std::string() : done.error().text();
    if (failure != failure_) on_change_(failure);
    failure_ = std::move(failure);
  }

  // Again, if it failed and the interval has passed.
  void retry(Instant now) {
    if (!failure_.empty() && now - tried_at_ >= kInterval) run(now);
  }

 private:
  std::function<Result<void>()> step_;
  std::function<void(const std::string&)> on_change_;
  std::string failure_;  // the last one's; empty: it succeeded
  Instant tried_at_ = Instant::distant_past();
};

}  // namespace ringway::control
