#include "dataplane/nat_reports.hpp"

#include <utility>

namespace ringway {
namespace {

void report(WorkerState& worker, InternetSide& internet, Instant now, std::size_t spare_events) {
  const auto& ring = worker.link.events;
  while (internet.nat.has_block_events() && internet.has_lent() &&
         ring.capacity() - ring.size() > spare_events) {
    auto batch = internet.take_lent();
    batch->at = now;
    batch->count = 0;
    while (batch->count < batch->events.size() &&
           internet.nat.poll_block_event(batch->events[batch->count])) {
      ++batch->count;
    }
    batch->lost = internet.nat.counters().block_events_lost;
    CHECK(worker.push_event(event::BlocksChanged{std::move(batch)}));
  }
}

}  // namespace

void report_blocks(WorkerState& worker, Instant now) {
  if (worker.internet != nullptr) report(worker, *worker.internet, now, 0);
}

void report_last_blocks(WorkerState& worker, Instant now, std::size_t spare_events) {
  report(worker, *worker.internet, now, spare_events);
  worker.internet->nat.lose_block_events();
}

}  // namespace ringway
