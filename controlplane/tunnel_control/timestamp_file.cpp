#include "controlplane/tunnel_control/timestamp_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ringway::control {
namespace {

constexpr std::uint64_t kCeilingAheadSeconds = 60;
constexpr off_t kLogRewriteBytes = 1 << 20;  // below this the log is not worth rewriting
constexpr std::size_t kRecordBytes = tunnel::kKeyBytes + tunnel::kTimestampBytes;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

bool write_all(int fd, ConstBytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

// The whole file; empty where there is none.
Result<std::vector<std::uint8_t>> read_file(const std::string& path) {
  std::vector<std::uint8_t> content;
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return content;
    return system_failure("reading " + path, errno);
  }
  std::uint8_t chunk[4096];
  for (;;) {
    const ssize_t got = ::read(file.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("reading " + path, errno);
    if (got == 0) return content;
    content.insert(content.end(), chunk, chunk + got);
  }
}

// Replaces the file as a whole: a crash leaves the old content or the new.
Result<void> replace_file(const std::string& path, ConstBytes content) {
  const std::string fresh = path + ".new";
  const FileDescriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.get() < 0 || !write_all(file.get(), content) || ::fsync(file.get()) != 0 ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    return system_failure("writing " + path, errno, "check the state directory's space and owner");
  }
  return {};
}

tunnel::Tai64n ahead_of(const tunnel::Tai64n& timestamp, std::uint64_t seconds) {
  tunnel::Tai64n later = timestamp;
  store_be(later.data(), load_be<std::uint64_t>(timestamp.data()) + seconds);
  return later;
}

}  // namespace

Result<std::unique_ptr<TimestampFile>> TimestampFile::open(const std::string& directory) {
  for (std::size_t end = 1; end != std::string::npos;) {
    end = directory.find('/', end + 1);
    const std::string part = directory.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return system_failure("making the state directory " + part, errno,
                            "set [state] directory to a place that this user may write");
    }
  }
  auto file = std::unique_ptr<TimestampFile>(new TimestampFile(directory));
  if (auto loaded = file->load_sent(); !loaded) return tl::unexpected(loaded.error());
  if (auto loaded = file->load_received(); !loaded) return tl::unexpected(loaded.error());
  if (auto written = file->rewrite_received(); !written) return tl::unexpected(written.error());
  return file;
}

TimestampFile::~TimestampFile() {
  // The next start need not begin ahead of the clock.
  if (newest_sent_ != tunnel::Tai64n{}) {
    (void)replace_file(directory_ + "/timestamp-sent", newest_sent_);
  }
  if (received_fd_ >= 0) ::close(received_fd_);
}

Result<void> TimestampFile::load_sent() {
  const auto content = read_file(directory_ + "/timestamp-sent");
  if (!content) return tl::unexpected(content.error());
  if (content->size() == ceiling_.size()) {
    std::memcpy(ceiling_.data(), content->data(), ceiling_.size());
  }
  return {};
}

Result<void> TimestampFile::load_received() {
  const auto content = read_file(directory_ + "/timestamps-received");
  if (!content) return tl::unexpected(content.error());
  // A record that a crash cut short is the last one, and not counted.
  for (std::size_t at = 0; at + kRecordBytes <= content->size(); at += kRecordBytes) {
    tunnel::PublicKey peer;
    tunnel::Tai64n timestamp;
    std::memcpy(peer.data(), content->data() + at, peer.size());
    std::memcpy(timestamp.data(), content->data() + at + peer.size(), timestamp.size());
    tunnel::Tai64n& newest = received_[peer];
    if (timestamp > newest) newest = timestamp;
  }
  return {};
}

Result<void> TimestampFile::rewrite_received() {
  std::vector<std::uint8_t> content;
  content.reserve(received_.size() * kRecordBytes);
  for (const auto& [peer, timestamp] : received_) {
    content.insert(content.end(), peer.begin(), peer.end());
    content.insert(content.end(), timestamp.begin(), timestamp.end());
  }
  const std::string path = directory_ + "/timestamps-received";
  if (auto replaced = replace_file(path, content); !replaced) return replaced;
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (file.get() < 0) return system_failure("opening " + path, errno);
  if (received_fd_ >= 0) ::close(received_fd_);
  received_fd_ = file.release();
  logged_bytes_ = static_cast<off_t>(content.size());
  return {};
}

void TimestampFile::store_sent(const tunnel::Tai64n& timestamp) {
  newest_sent_ = timestamp;
  if (timestamp < ceiling_) return;
  const tunnel::Tai64n ceiling = ahead_of(timestamp, kCeilingAheadSeconds);
  // On a full disk the node goes on: the clock alone then keeps timestamps rising.
  if (replace_file(directory_ + "/timestamp-sent", ceiling)) ceiling_ = ceiling;
}

void TimestampFile::store_received(const tunnel::PublicKey& peer, const tunnel::Tai64n& timestamp) {
  received_[peer] = timestamp;
  std::uint8_t record[kRecordBytes];
  std::memcpy(record, peer.data(), peer.size());
  std::memcpy(record + peer.size(), timestamp.data(), timestamp.size());
  if (!write_all(received_fd_, record)) {
    // A record cut short would shift all that follow it.
    (void)!::ftruncate(received_fd_, logged_bytes_);
    return;
  }
  logged_bytes_ += static_cast<off_t>(kRecordBytes);
  const auto needed_bytes = static_cast<off_t>(received_.size() * kRecordBytes);
  if (logged_bytes_ > std::max(kLogRewriteBytes, 4 * needed_bytes)) (void)rewrite_received();
}

tunnel::Tai64n TimestampFile::last_received(const tunnel::PublicKey& peer) const {
  const auto found = received_.find(peer);
  return found == received_.end() ? tunnel::Tai64n{} : found->second;
}

}  // namespace ringway::control
