#include "controlplane/cli/launch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringway::control::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kReadyFd = 3;  // in the daemon
constexpr milliseconds kEndGrace{5000};
constexpr off_t kLogTail = 4096;  // bytes in which the last line is looked for
constexpr std::string_view kDaemonPrefix = "ringwayd: ";  // of its lines
constexpr std::size_t kMaxReport = 64U << 10;             // of what a failing daemon says

volatile std::sig_atomic_t interrupted = 0;
void note_interrupt(int) {
  interrupted = 1;
}

// Ctrl-C ends waits instead of the program, as long as this lives.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = note_interrupt;  // without SA_RESTART: poll() returns
    ::sigaction(SIGINT, &action, &old_int_);
    ::sigaction(SIGTERM, &action, &old_term_);
  }
  ~InterruptGuard() {
    ::sigaction(SIGINT, &old_int_, nullptr);
    ::sigaction(SIGTERM, &old_term_, nullptr);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
};

enum class Wait { kReady, kTimeout, kInterrupted, kFailed };

Wait wait_readable(int fd, Clock::time_point deadline) {
  for (;;) {
    if (interrupted != 0) return Wait::kInterrupted;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return Wait::kTimeout;
    // Short waits: a signal between the check and poll() costs at most one of them.
    pollfd waiting{fd, POLLIN, 0};
    const int result = ::poll(&waiting, 1, static_cast<int>(std::min<long>(left.count(), 200)));
    if (result > 0) return Wait::kReady;
    if (result < 0 && errno != EINTR) return Wait::kFailed;
  }
}

Result<int> open_log(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return system_failure("opening log " + path, errno, "run as root: sudo ringway up");
  return fd;
}

[[noreturn]] void say_and_exit(const char* what) {
  const char* reason = std::strerror(errno);
  for (const char* part : {what, ": ", reason, "\n"}) {
    if (::write(kReadyFd, part, std::strlen(part)) < 0) break;
  }
  ::_exit(127);
}

// In the new process: a session of its own, nothing inherited but log and pipe, then ringwayd.
[[noreturn]] void become_daemon(const LaunchOptions& options, int log, int ready) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  // `ready` may be kReadyFd already, and then dup2() would leave it close-on-exec.
  const int moved = ::fcntl(ready, F_DUPFD, kReadyFd + 1);
  ::dup2(moved, kReadyFd);
  ::close_range(kReadyFd + 1, ~0U, 0);
  ::umask(022);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
    ::signal(signal, SIG_DFL);
  if (::chdir("/") != 0) say_and_exit("changing to /");
  const std::string ready_fd = std::to_string(kReadyFd);
  ::execl(options.daemon.c_str(), "ringwayd", "--config", options.config.c_str(), "--foreground",
          "--ready-fd", ready_fd.c_str(), nullptr);
  say_and_exit(("starting " + options.daemon).c_str());
}

// Politely, then firmly. Returns its wait status.
int end_child(pid_t child) {
  int status = 0;
  const auto deadline = Clock::now() + kEndGrace;
  ::kill(child, SIGTERM);
  while (Clock::now() < deadline) {
    if (::waitpid(child, &status, WNOHANG) == child) return status;
    ::usleep(20'000);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return status;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

// The last line that was added to the log behind `start`, without the program's name; empty when
// there is none.
std::string last_log_line(const std::string& path, off_t start) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const off_t size = ::lseek(fd, 0, SEEK_END);
  std::array<char, kLogTail> tail{};
  const ssize_t got =
      ::pread(fd, tail.data(), tail.size(), std::max(start, std::max<off_t>(0, size - kLogTail)));
  ::close(fd);
  std::string_view text(tail.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  const std::size_t end = text.rfind('\n');
  if (end != std::string_view::npos) text.remove_prefix(end + 1);
  if (text.starts_with(kDaemonPrefix)) text.remove_prefix(kDaemonPrefix.size());
  return std::string(text);
}

// Everything the daemon says until it is ready or closes the pipe.
Wait read_report(int fd, Clock::time_point deadline, std::string& report) {
  while (report.size() < kMaxReport) {
    if (const Wait wait = wait_readable(fd, deadline); wait != Wait::kReady) return wait;
    std::array<char, 1024> chunk{};
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Wait::kFailed;
    report.append(chunk.data(), static_cast<std::size_t>(got));
    if (report == "ready\n") return Wait::kReady;
  }
  return Wait::kFailed;
}

Result<std::int64_t> await_ready(pid_t child, int fd, const LaunchOptions& options,
                                 off_t log_start) {
  std::string report;
  const Wait outcome = read_report(fd, Clock::now() + options.timeout, report);
  if (outcome == Wait::kReady) return child;
  // A daemon that closed the pipe is ending by itself; the others are told to.
  const int status = end_child(child);
  if (outcome == Wait::kInterrupted) return failure("interrupted; ringwayd was stopped again");
  while (report.ends_with('\n'))
    report.pop_back();
  if (!report.empty()) return failure(report);
  const std::string remedy = "see " + options.log_file;
  if (outcome == Wait::kTimeout) {
    return failure("ringwayd was not ready after " +
                       std::to_string(options.timeout.count() / 1000) + " s and was stopped",
                   remedy);
  }
  const std::string reason = last_log_line(options.log_file, log_start);
  return reason.empty() ? failure("ringwayd " + how_it_ended(status), remedy) : failure(reason);
}

}  // namespace

Result<std::string> find_daemon() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string beside = (self.parent_path() / "ringwayd").string();
  if (!error && ::access(beside.c_str(), X_OK) == 0) return beside;
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path == nullptr ? "" : path; !rest.empty();) {
    const std::size_t colon = rest.find(':');
    const std::string candidate = std::string(rest.substr(0, colon)) + "/ringwayd";
    if (candidate.front() == '/' && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  return failure("ringwayd is neither beside ringway nor in PATH", "install it, or build ringwayd");
}

Result<std::int64_t> launch_daemon(const LaunchOptions& options) {
  const auto log = open_log(options.log_file);
  if (!log) return tl::unexpected(log.error());
  const off_t log_start = ::lseek(*log, 0, SEEK_END);
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return system_failure("making a pipe", errno);
  const InterruptGuard guard;
  const pid_t child = ::fork();
  if (child == 0) become_daemon(options, *log, pipe[1]);
  const int fork_error = errno;
  ::close(*log);
  ::close(pipe[1]);
  auto result = child < 0 ? system_failure("starting a process", fork_error)
                          : await_ready(child, pipe[0], options, log_start);
  ::close(pipe[0]);
  return result;
}

Result<void> wait_for_end(std::int64_t pid, milliseconds timeout) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0));
  if (fd < 0) {
    if (errno == ESRCH) return {};
    return system_failure("watching process " + std::to_string(pid), errno);
  }
  const InterruptGuard guard;
  const Wait outcome = wait_readable(fd, Clock::now() + timeout);
  ::close(fd);
  if (outcome == Wait::kReady) return {};
  return failure("ringwayd (pid " + std::to_string(pid) + ") is still stopping",
                 outcome == Wait::kInterrupted ? "interrupted" : "see its log");
}

}  // namespace ringway::control::cli
