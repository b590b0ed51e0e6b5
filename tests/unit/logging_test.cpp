#include "controlplane/logging.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::control {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

std::string logged(const LogConfig& config, LogLevel level, const std::string& message) {
  setup_logging(config);
  testing::internal::CaptureStderr();
  log(level, message);
  std::string text = testing::internal::GetCapturedStderr();
  setup_logging({});
  return text;
}

TEST(Logging, TextHasTimeAndLevel) {
  EXPECT_THAT(logged({LogLevel::kInfo, LogFormat::kText}, LogLevel::kWarn, "it is late"),
              MatchesRegex("[0-9-]+ [0-9:.]+ warning +it is late\n"));
}

TEST(Logging, JournalLinesBeginWithTheirPriority) {
  const LogConfig config{LogLevel::kDebug, LogFormat::kJournal};
  EXPECT_EQ(logged(config, LogLevel::kError, "a"), "<3>a\n");
  EXPECT_EQ(logged(config, LogLevel::kWarn, "a"), "<4>a\n");
  EXPECT_EQ(logged(config, LogLevel::kInfo, "a"), "<6>a\n");
  EXPECT_EQ(logged(config, LogLevel::kDebug, "a"), "<7>a\n");
}

TEST(Logging, JsonEscapesTheMessage) {
  EXPECT_THAT(logged({LogLevel::kInfo, LogFormat::kJson}, LogLevel::kInfo, "say \"a\\b\""),
              HasSubstr(R"(,"level":"info","message":"say \"a\\b\""})"));
}

TEST(Logging, HoldsBackWhatIsBelowItsLevel) {
  EXPECT_EQ(logged({LogLevel::kWarn, LogFormat::kText}, LogLevel::kInfo, "a"), "");
}

TEST(Logging, KeepsAMessageOnOneLine) {
  EXPECT_EQ(logged({LogLevel::kInfo, LogFormat::kJournal}, LogLevel::kInfo, "a\nb\x1b[31m"),
            "<6>a b [31m\n");
}

}  // namespace
}  // namespace ringway::control
