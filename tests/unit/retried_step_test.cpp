#include "controlplane/retried_step.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::control {
namespace {

using ::testing::ElementsAre;

class RetriedStepTest : public ::testing::Test {
 protected:
  Result<void> outcome_;
  int tries_ = 0;
  std::vector<std::string> told_;
  Instant now_ = Instant::from_ns(5'000'000'000);
  RetriedStep step_{[this] {
                      ++tries_;
                      return outcome_;
                    },
                    [this](const std::string& failure) { told_.push_back(failure); }};

  void pass(Duration time) {
    now_ = now_ + time;
    step_.retry(now_);
  }
};

TEST_F(RetriedStepTest, SuccessIsNotRepeated) {
  step_.run(now_);
  pass(RetriedStep::kInterval);
  EXPECT_EQ(tries_, 1);
  EXPECT_THAT(told_, ElementsAre());
}

TEST_F(RetriedStepTest, FailureIsRepeatedAtIntervalsUntilItSucceeds) {
  outcome_ = failure("no memory");
  step_.run(now_);
  pass(RetriedStep::kInterval - Duration::milliseconds(1));
  EXPECT_EQ(tries_, 1) << "before its time";
  pass(Duration::milliseconds(1));
  EXPECT_EQ(tries_, 2);
  outcome_ = {};
  pass(RetriedStep::kInterval);
  EXPECT_EQ(tries_, 3);
  pass(RetriedStep::kInterval);
  EXPECT_EQ(tries_, 3);
  EXPECT_THAT(told_, ElementsAre("no memory", "")) << "each once";
}

TEST_F(RetriedStepTest, AChangeDoesNotWaitForTheInterval) {
  outcome_ = failure("no memory");
  step_.run(now_);
  outcome_ = failure("no room");
  step_.run(now_);
  EXPECT_EQ(tries_, 2);
  EXPECT_THAT(told_, ElementsAre("no memory", "no room"));
}

}  // namespace
}  // namespace ringway::control
