// Everything that a node sets on its host, as one object: made by apply, taken back by take_back or
// the destructor. The tunnel device must exist, and its socket be bound, before.
//
//   check the plan -> what was left by a crash is adopted -> changes in order, each journaled first
//        |                                                          |
//        v                                                          v  one fails
//   nothing touched                                       what this call did is undone
//
// A crash leaves the host as it was set: closed, if it was a full tunnel. The next apply keeps what
// it needs of that without a gap, and takes back the rest; take_back_left_over takes back all.
// Only the control thread calls this.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "controlplane/host/host_change.hpp"
#include "controlplane/host/host_journal.hpp"
#include "controlplane/host/host_plan.hpp"
#include "controlplane/host/netlink.hpp"

namespace ringway::control {

class HostSetup {
 public:
  // On failure the host is as it was before the call.
  [[nodiscard]] static Result<std::unique_ptr<HostSetup>> apply(const HostPlan& plan);
  HostSetup(const HostSetup&) = delete;
  HostSetup& operator=(const HostSetup&) = delete;
  ~HostSetup();

  // Makes the host fit another plan (peers came or went), without touching what both have in
  // common. The tunnel device and the state directory stay the same. On failure the old plan is in
  // force.
  [[nodiscard]] Result<void> change_to(const HostPlan& plan);

  // Takes back everything, in reverse order. What could not be taken back stays in the journal, and
  // the first error is returned.
  [[nodiscard]] Result<void> take_back();

  // For a stop that a start follows soon: takes back everything but the firewall tables, which the
  // next start adopts without a gap. Meanwhile they keep a full tunnel closed, and a gateway's
  // kernel from resetting connections of its NAT. Nothing else may be called afterwards.
  [[nodiscard]] Result<void> leave_guarded();

  // Takes back what a crashed node left behind, or one that left the host guarded; false where
  // nothing was left. Fails while a node uses the directory.
  [[nodiscard]] static Result<bool> take_back_left_over(
      const std::filesystem::path& state_directory);

  // What the user should know although everything was set.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  HostSetup(HostPlan plan, Netlink netlink, std::unique_ptr<HostJournal> journal);
  [[nodiscard]] Result<std::vector<HostChange>> plan_changes(const HostPlan& plan);
  [[nodiscard]] Result<void> settle(const HostPlan& plan);
  [[nodiscard]] Result<void> make(const HostChange& change);
  [[nodiscard]] Result<void> take_back_all_but(const std::vector<HostChange>& wanted);

  HostPlan plan_;
  Netlink netlink_;
  std::unique_ptr<HostJournal> journal_;
  std::vector<std::string> warnings_;
};

}  // namespace ringway::control
