#include "controlplane/cli/launch.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::control::cli {
namespace {

using testing::HasSubstr;

// Daemons are shell scripts here; descriptor 3 is the pipe that --ready-fd names.
class Launch : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ringway-launch-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    options_.daemon = directory_ + "/ringwayd";
    options_.config = "/etc/ringway/x.toml";
    options_.log_file = directory_ + "/log/x.log";
    options_.timeout = std::chrono::milliseconds(5000);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Result<std::int64_t> launch(const std::string& script) {
    std::ofstream(options_.daemon) << "#!/bin/sh\n" << script << "\n";
    ::chmod(options_.daemon.c_str(), 0755);
    return launch_daemon(options_);
  }
  std::string log() const {
    std::ifstream file(options_.log_file);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void end(std::int64_t pid) {
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    ::waitpid(static_cast<pid_t>(pid), nullptr, 0);
  }

  std::string directory_;
  LaunchOptions options_;
};

TEST_F(Launch, ReturnsTheProcessOnceItIsReady) {
  const auto pid = launch("echo \"args $*\" >&2; pwd >&2; echo ready >&3; exec sleep 60");
  ASSERT_TRUE(pid) << pid.error().text();
  EXPECT_EQ(::getsid(static_cast<pid_t>(*pid)), *pid) << "a session of its own";
  EXPECT_THAT(log(), HasSubstr("args --config /etc/ringway/x.toml --foreground --ready-fd 3\n/\n"));
  end(*pid);
}

TEST_F(Launch, PassesOnWhatTheDaemonSays) {
  const auto pid = launch("echo 'UDP port 51820 is taken (choose another)' >&3; exit 1");
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().text(), "UDP port 51820 is taken (choose another)");
}

TEST_F(Launch, RepeatsTheLastLineOfAFailingDaemonsLog) {
  std::filesystem::create_directories(directory_ + "/log");
  std::ofstream(options_.log_file) << "an old line\n";
  const auto pid =
      launch("echo working >&2; echo 'ringwayd: port 5 is taken (free it)' >&2; exit 1");
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().text(), "port 5 is taken (free it)");
  const auto silent = launch("exit 1");
  ASSERT_FALSE(silent);
  EXPECT_THAT(silent.error().text(), HasSubstr("ended with status 1")) << "not an earlier line";
}

TEST_F(Launch, SaysHowASilentDaemonEnded) {
  const auto pid = launch("exit 3");
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().text(), "ringwayd ended with status 3 (see " + options_.log_file + ")");
}

TEST_F(Launch, StopsADaemonThatIsNeverReady) {
  options_.timeout = std::chrono::milliseconds(300);
  const auto pid = launch("echo $$ >&2; exec sleep 60");
  ASSERT_FALSE(pid);
  EXPECT_THAT(pid.error().message, HasSubstr("not ready"));
  const int daemon = std::stoi(log());
  EXPECT_EQ(::kill(daemon, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(Launch, SaysWhyADaemonCannotBeStarted) {
  const auto pid = launch_daemon(options_);
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().text(), "starting " + options_.daemon + ": No such file or directory");
}

TEST_F(Launch, InheritsNothingButLogAndPipe) {
  const int stray = ::open("/dev/null", O_RDONLY);  // not close-on-exec
  ASSERT_GE(stray, 0);
  const auto pid = launch("ls /proc/$$/fd >&2; echo ready >&3; exec sleep 60");
  ::close(stray);
  ASSERT_TRUE(pid) << pid.error().text();
  // The shell keeps its own descriptors at 10 and above.
  EXPECT_THAT(log(), testing::MatchesRegex("0\n1\n(1[0-9]\n)*2\n3\n"));
  end(*pid);
}

TEST_F(Launch, WaitsForTheEndOfAProcess) {
  const auto pid = launch("echo ready >&3; exec sleep 0.3");
  ASSERT_TRUE(pid) << pid.error().text();
  EXPECT_TRUE(wait_for_end(*pid, std::chrono::seconds(5)));
  ::waitpid(static_cast<pid_t>(*pid), nullptr, 0);
  EXPECT_TRUE(wait_for_end(*pid, std::chrono::seconds(5))) << "gone already";
}

TEST_F(Launch, GivesUpOnAProcessThatGoesOn) {
  const auto pid = launch("echo ready >&3; exec sleep 60");
  ASSERT_TRUE(pid) << pid.error().text();
  const auto ended = wait_for_end(*pid, std::chrono::milliseconds(200));
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().message, HasSubstr(std::to_string(*pid)));
  end(*pid);
}

TEST_F(Launch, StopsTheDaemonWhenInterrupted) {
  const pid_t self = ::getpid();
  const auto pid = launch("kill -INT " + std::to_string(self) + "; exec sleep 60");
  ASSERT_FALSE(pid);
  EXPECT_THAT(pid.error().message, HasSubstr("interrupted"));
}

}  // namespace
}  // namespace ringway::control::cli
