#include "controlplane/tunnel_control/timestamp_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "controlplane/tunnel_control/state_file.hpp"

namespace ringway::control {
namespace {

constexpr std::uint64_t kCeilingAheadSeconds = 60;
constexpr std::size_t kMaxStateBytes = 1U << 30;  // what is longer is none of ours
constexpr off_t kLogRewriteBytes = 1 << 20;       // below this the log is not worth rewriting
constexpr std::size_t kRecordBytes = tunnel::kKeyBytes + tunnel::kTimestampBytes;

tunnel::Tai64n ahead_of(const tunnel::Tai64n& timestamp, std::uint64_t seconds) {
  tunnel::Tai64n later = timestamp;
  store_be(later.data(), load_be<std::uint64_t>(timestamp.data()) + seconds);
  return later;
}

}  // namespace

Result<std::unique_ptr<TimestampFile>> TimestampFile::open(const std::string& directory) {
  if (auto made = make_directories(directory); !made) return tl::unexpected(made.error());
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
  const auto content = read_file(directory_ + "/timestamp-sent", kMaxStateBytes);
  if (!content) return tl::unexpected(content.error());
  if (content->size() == ceiling_.size()) {
    std::memcpy(ceiling_.data(), content->data(), ceiling_.size());
  }
  return {};
}

Result<void> TimestampFile::load_received() {
  const auto content = read_file(directory_ + "/timestamps-received", kMaxStateBytes);
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
