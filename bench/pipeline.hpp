// A worker between memory ports, with the peers, sessions, flows and routes of its traffic: what
// ringway-bench pipeline drives, a round at a time, and holds to account after each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "bench/pipeline_bench.hpp"
#include "bench/pipeline_traffic.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/stage_clock.hpp"
#include "dataplane/worker.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway::bench {

class Pipeline {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Pipeline>> open(const TrafficShape& shape,
                                                              const PipelineBenchOptions& options);

  // Makes it one of several: before its first round, and after every one of them was opened.
  void join(HandoffMesh& mesh);
  // What it must know of another one's peers.
  void meet(const Pipeline& other);

  // Offers a round's packets; every so manyth of what comes out is kept.
  void begin_round(std::uint64_t sample_interval);
  // What is measured: one turn.
  void turn();
  [[nodiscard]] bool exhausted() { return input().exhausted(); }
  [[nodiscard]] std::uint64_t packets_sent() { return output().packets_sent(); }
  // Spent in copying what arrives, which is not the worker's.
  [[nodiscard]] std::uint64_t copy_cycles() { return input().copy_cycles(); }
  // Nothing was dropped, everything is home, and what came out is what must come out.
  [[nodiscard]] Result<void> end_round();

  void watch_stages(StageClock* clock);
  [[nodiscard]] PipelineTraffic& traffic() { return traffic_; }
  [[nodiscard]] std::uint64_t samples_compared() const { return samples_compared_; }
  // Of the NAT, at the end of the last round.
  [[nodiscard]] std::uint64_t live_mappings() const { return live_mappings_; }
  [[nodiscard]] std::string describe_crypto() const { return worker_->describe_crypto(); }

 private:
  Pipeline(const TrafficShape& shape, const PipelineBenchOptions& options);
  [[nodiscard]] nat::Nat* nat();
  void translate_burst();
  void pass_burst();
  // Of everything but the tunnel's edges, one port carries both ways.
  [[nodiscard]] bool is_edge() const { return takes_trains(shape_.path); }
  [[nodiscard]] BenchPort& input();
  [[nodiscard]] BenchPort& output();
  void tell(Command&& command);
  [[nodiscard]] Result<void> check();
  [[nodiscard]] Result<void> close_new_flows();

  Instant now_ = Instant::now();
  TrafficShape shape_;
  PipelineTraffic traffic_;
  BenchPort inner_;
  BenchPort outer_;
  BenchPort frames_;  // a gateway's only Ethernet port; what else has only one
  forwarding::EthernetLink ethernet_;
  ControlLink link_;
  SystemRng rng_;  // as a node's worker has it
  std::uint64_t samples_compared_ = 0;
  std::uint64_t live_mappings_ = 0;
  std::unique_ptr<Worker> worker_;
  ControlLink unused_link_;
  std::unique_ptr<WorkerState> translator_;  // a gateway's worker without a tunnel (nat-only)
  std::size_t passed_ = 0;                   // packets of the round so far (nat-only)
  StageClock* null_clock_ = nullptr;
};

}  // namespace ringway::bench
