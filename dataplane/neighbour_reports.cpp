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

}  // namespace

void run_ethernet(WorkerState& worker, Instant now) {
  if (worker.internet == nullptr || worker.internet->ethernet == nullptr) return;
  forwarding::EthernetLink& ethernet = *worker.internet->ethernet;
  ethernet.run(now);
  report_wanted(worker, ethernet);
  if (now - worker.internet->reported < kReportInterval) return;
  worker.internet->reported = now;
  ethernet.use().drain(ethernet.table(), [&](const forwarding::Neighbour& neighbour) {
    (void)worker.push_event(event::NeighbourUsed{neighbour});
  });
}

}  // namespace ringway
