// What was set on the host and not yet taken back: STATE_DIR/host-journal, one JSON object a line.
//
//   {"host_journal":1,"boot":"5f0c...","network":4026531840}     where the changes were made
//   {"id":1,"do":{"change":"mtu",...}}                           written and synced before it is
//   done
//   {"undone":1}                                                 after it was taken back
//
// The file only grows, so that no crash leaves half a rewrite; it is removed when nothing is left.
// A last line without its newline was cut off by a crash, and what it announced was not begun. A
// journal of an earlier boot, or of a network namespace other than ours, says nothing about this
// host's state and is discarded. The open journal is locked: two nodes cannot share one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"
#include "controlplane/host/host_change.hpp"

namespace ringway::control {

struct JournalEntry {
  std::uint64_t id = 0;
  HostChange change;
};

class HostJournal {
 public:
  // Opens or creates the journal and reads what an earlier run left in it.
  [[nodiscard]] static Result<std::unique_ptr<HostJournal>> open(
      const std::filesystem::path& state_directory);
  [[nodiscard]] static std::filesystem::path path_in(const std::filesystem::path& state_directory);
  HostJournal(const HostJournal&) = delete;
  HostJournal& operator=(const HostJournal&) = delete;
  // An empty journal removes its file; any other stays for the next start.
  ~HostJournal();

  // In the order in which they were made.
  [[nodiscard]] const std::vector<JournalEntry>& entries() const { return entries_; }
  // nullptr when no entry has this key.
  [[nodiscard]] const JournalEntry* find(const std::string& change_key) const;

  // The value of a setting before Ringway changed it: as journaled, else as it stands.
  [[nodiscard]] Result<std::string> setting_before(const std::string& name) const;

  // Durable when it returns.
  [[nodiscard]] Result<std::uint64_t> append(const HostChange& change);
  // Forgets the entry that was appended last: it was not done. Works on a full disk too.
  void retract_last();
  [[nodiscard]] Result<void> mark_undone(std::uint64_t id);

  // Undoes the entries from `first_id` on in reverse order. What cannot be undone stays in the
  // journal, the rest is undone nevertheless; the first error is returned. `stays`: what is to be
  // left as it is, in the journal too; empty: nothing.
  [[nodiscard]] Result<void> roll_back(Netlink& netlink, std::uint64_t first_id = 0,
                                       const std::function<bool(const HostChange&)>& stays = {});
  // The id that the next entry gets.
  [[nodiscard]] std::uint64_t next_id() const { return next_id_; }

 private:
  HostJournal(int file, std::filesystem::path path) : file_(file), path_(std::move(path)) {}
  [[nodiscard]] Result<void> read_all();
  [[nodiscard]] Result<void> read_line(const std::string& line, std::size_t number);
  [[nodiscard]] Result<void> start_anew();
  [[nodiscard]] Result<void> write_line(const std::string& line);

  int file_;
  std::filesystem::path path_;
  std::vector<JournalEntry> entries_;
  std::uint64_t next_id_ = 1;
  off_t size_ = 0;              // bytes of whole lines
  off_t size_before_last_ = 0;  // where the last line begins
};

}  // namespace ringway::control
