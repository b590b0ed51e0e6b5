#include "dataplane/neighbour_reports.hpp"

#include <array>

namespace ringway {
namespace {

// Linux takes a neighbour for stale after half a minute or so (base_reachable_time_ms).
constexpr Duration kReportInterval = Duration::seconds(1);

void report_wanted(WorkerState& worker, forwarding::EthernetLink& ethernet) {
  std::array<forwarding::Neighbour, 16> wanted;
  const std::size_t count = ethernet.take_wanted(wanted);
  // One that is lost here is asked for again while packets wait.
  for (std::size_t i = 0; i < count; ++i)
    (void)worker.push_event(event::NeighbourWanted{wanted[i]});
}

// The NAT drops what it held without an answer to anybody: that comes to light here.
void report_lost_fragments(WorkerState& worker) {
  InternetSide& internet = *worker.internet;
  const nat::Counters counters = internet.nat.counters();
  worker.drop(DropReason::kNatFragmentExpired,
              counters.fragments_expired - internet.fragments_expired);
  worker.drop(DropReason::kNatFragmentLimit, counters.fragments_lost - internet.fragments_lost);
  internet.fragments_expired = counters.fragments_expired;
  internet.fragments_lost = counters.fragments_lost;
}

}  // namespace

void run_ethernet(WorkerState& worker, Instant now) {
  if (worker.internet == nullptr || worker.internet->ethernet == nullptr) return;
  forwarding::EthernetLink& ethernet = *worker.internet->ethernet;
  ethernet.run(now);
  report_wanted(worker, ethernet);
  if (now - worker.internet->reported < kReportInterval) return;
  worker.internet->reported = now;
  report_lost_fragments(worker);
  ethernet.use().drain(ethernet.table(), [&](const forwarding::Neighbour& neighbour) {
    (void)worker.push_event(event::NeighbourUsed{neighbour});
  });
}

}  // namespace ringway
