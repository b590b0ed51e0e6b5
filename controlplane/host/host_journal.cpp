#include "controlplane/host/host_journal.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "controlplane/host/sysctl.hpp"

namespace ringway::control {
namespace {

using Json = nlohmann::json;
constexpr int kFormat = 1;

// Changes outlive neither the boot nor the network namespace in which they were made.
Json header() {
  struct stat network {};
  const bool known = ::stat("/proc/thread-self/ns/net", &network) == 0;
  return {{"host_journal", kFormat},
          {"boot", sysctl::read("kernel/random/boot_id").value_or("")},
          {"network", known ? static_cast<std::uint64_t>(network.st_ino) : 0}};
}

Result<std::string> read_file(int file, const std::filesystem::path& path) {
  std::string text;
  std::array<char, 4096> buffer{};
  off_t offset = 0;
  while (true) {
    const ssize_t size = ::pread(file, buffer.data(), buffer.size(), offset);
    if (size < 0) return system_failure("reading " + path.string(), errno);
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
    offset += size;
  }
}

bool truncate_to(int file, off_t size) {
  return ::ftruncate(file, size) == 0;
}

void sync_directory(const std::filesystem::path& directory) {
  const int file = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

// Whether `file` is still what stands at `path`: the last owner removes the file as it leaves.
bool still_at(int file, const std::filesystem::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

Result<int> open_locked(const std::filesystem::path& path) {
  while (true) {
    const int file =
        ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
      return system_failure("opening " + path.string(), errno,
                            "the state directory must exist and be writable");
    }
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      ::close(file);
      return failure(
          "the state directory " + path.parent_path().string() + " is used by another running node",
          "give each node a state directory of its own, or stop the other one");
    }
    if (still_at(file, path)) return file;
    ::close(file);
  }
}

}  // namespace

std::filesystem::path HostJournal::path_in(const std::filesystem::path& state_directory) {
  return state_directory / "host-journal";
}

Result<std::unique_ptr<HostJournal>> HostJournal::open(
    const std::filesystem::path& state_directory) {
  const auto path = path_in(state_directory);
  const auto file = open_locked(path);
  if (!file) return tl::unexpected(file.error());
  std::unique_ptr<HostJournal> journal(new HostJournal(*file, path));
  if (auto read = journal->read_all(); !read) {
    // What could not be read is not ours to remove; what could not be begun is.
    if (journal->size_ == 0) ::unlink(path.c_str());
    ::close(std::exchange(journal->file_, -1));
    return tl::unexpected(read.error());
  }
  return journal;
}

HostJournal::~HostJournal() {
  if (file_ < 0) return;
  if (entries_.empty()) ::unlink(path_.c_str());
  ::close(file_);
}

const JournalEntry* HostJournal::find(const std::string& change_key) const {
  for (const JournalEntry& entry : entries_) {
    if (control::change_key(entry.change) == change_key) return &entry;
  }
  return nullptr;
}

Result<std::string> HostJournal::setting_before(const std::string& name) const {
  for (const JournalEntry& entry : entries_) {
    const auto* set = std::get_if<SetSysctl>(&entry.change);
    if (set != nullptr && set->name == name) return set->before;
  }
  return sysctl::read(name);
}

Result<void> HostJournal::start_anew() {
  entries_.clear();
  if (!truncate_to(file_, 0)) return system_failure("emptying " + path_.string(), errno);
  size_ = 0;
  auto written = write_line(header().dump());
  if (written) sync_directory(path_.parent_path());
  return written;
}

Result<void> HostJournal::read_all() {
  auto text = read_file(file_, path_);
  if (!text) return tl::unexpected(text.error());
  const std::size_t end = text->rfind('\n');
  const std::size_t whole_bytes = end == std::string::npos ? 0 : end + 1;
  if (whole_bytes != text->size()) {  // cut off by a crash
    if (!truncate_to(file_, static_cast<off_t>(whole_bytes))) {
      return system_failure("repairing " + path_.string(), errno);
    }
    text->resize(whole_bytes);
  }
  size_ = static_cast<off_t>(whole_bytes);
  const std::size_t header_end = text->find('\n');
  if (header_end == std::string::npos) return start_anew();
  const Json first = Json::parse(text->substr(0, header_end), nullptr, false);
  if (!first.is_object() || first.value("host_journal", 0) != kFormat) {
    return failure(path_.string() + " is not a journal that this version can read",
                   "take the changes back with the version that made them, or reboot and remove "
                   "the file");
  }
  if (first != header()) return start_anew();
  std::size_t line_number = 1;
  for (std::size_t begin = header_end + 1; begin < text->size();) {
    const std::size_t line_end = text->find('\n', begin);
    auto read = read_line(text->substr(begin, line_end - begin), ++line_number);
    if (!read) return read;
    begin = line_end + 1;
  }
  return {};
}

Result<void> HostJournal::read_line(const std::string& line, std::size_t number) {
  const auto damaged = [&](const std::string& why) {
    return failure(path_.string() + ", line " + std::to_string(number) + ": " + why,
                   "the file is damaged; reboot to clear what it describes, then remove it");
  };
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return damaged("not a JSON object");
  if (json.contains("undone") && json["undone"].is_number_unsigned()) {
    const auto id = json["undone"].get<std::uint64_t>();
    std::erase_if(entries_, [&](const JournalEntry& entry) { return entry.id == id; });
    return {};
  }
  if (!json.contains("id") || !json["id"].is_number_unsigned() || !json.contains("do")) {
    return damaged("neither a change nor its end");
  }
  auto change = change_from_json(json["do"].dump());
  if (!change) return damaged(change.error().message);
  const auto id = json["id"].get<std::uint64_t>();
  next_id_ = std::max(next_id_, id + 1);
  entries_.push_back({id, std::move(*change)});
  return {};
}

Result<void> HostJournal::write_line(const std::string& line) {
  const std::string text = line + "\n";
  const ssize_t written = ::write(file_, text.data(), text.size());
  const bool whole = written == static_cast<ssize_t>(text.size());
  const int error = written < 0 ? errno : ENOSPC;
  if (!whole || ::fdatasync(file_) != 0) {
    auto failed = system_failure("writing " + path_.string(), whole ? errno : error,
                                 "what cannot be journaled first is not set on the host");
    truncate_to(file_, size_);  // half a line must not stand before the next one
    return failed;
  }
  size_before_last_ = size_;
  size_ += written;
  return {};
}

void HostJournal::retract_last() {
  entries_.pop_back();
  if (truncate_to(file_, size_before_last_)) size_ = size_before_last_;
}

Result<std::uint64_t> HostJournal::append(const HostChange& change) {
  const std::uint64_t id = next_id_;
  const Json line = {{"id", id}, {"do", Json::parse(change_to_json(change))}};
  if (auto written = write_line(line.dump()); !written) return tl::unexpected(written.error());
  ++next_id_;
  entries_.push_back({id, change});
  return id;
}

Result<void> HostJournal::mark_undone(std::uint64_t id) {
  auto written = write_line(Json{{"undone", id}}.dump());
  std::erase_if(entries_, [&](const JournalEntry& entry) { return entry.id == id; });
  return written;
}

Result<void> HostJournal::roll_back(Netlink& netlink, std::uint64_t first_id,
                                    const std::function<bool(const HostChange&)>& stays) {
  std::vector<JournalEntry> reversed(entries_.rbegin(), entries_.rend());
  Result<void> outcome;
  for (const JournalEntry& entry : reversed) {
    if (entry.id < first_id || (stays && stays(entry.change))) continue;
    auto undone = undo(netlink, entry.change);
    if (undone) undone = mark_undone(entry.id);
    if (!undone && outcome) outcome = std::move(undone);
  }
  return outcome;
}

}  // namespace ringway::control
