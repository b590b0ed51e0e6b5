// Several workers of one node, each a pipeline with peers, flows and ports of its own, on a thread
// each. Packets of some peers reach the port of the next worker and are handed over.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "bench/pipeline.hpp"
#include "dataplane/handoff.hpp"

namespace ringway::bench {

class PipelineCrew {
 public:
  // shape: of each worker.
  [[nodiscard]] static Result<std::unique_ptr<PipelineCrew>> open(
      const TrafficShape& shape, const PipelineBenchOptions& options);

  // One round of all workers at once. TSC cycles until the last had sent its packets, for each
  // packet of all; each thread stays on a core of its own, as far as there are so many.
  [[nodiscard]] Result<double> run(std::uint64_t sample_interval);

  [[nodiscard]] std::uint64_t samples_compared() const;
  [[nodiscard]] std::uint64_t live_mappings() const;
  [[nodiscard]] std::string describe_crypto() const { return members_.front()->describe_crypto(); }

 private:
  PipelineCrew(const TrafficShape& shape, const PipelineBenchOptions& options)
      : shape_(shape), first_core_(options.core.value_or(0)), mesh_(shape.workers) {}

  TrafficShape shape_;
  unsigned first_core_;
  std::vector<std::unique_ptr<Pipeline>> members_;
  HandoffMesh mesh_;  // goes before the members whose pools it knows
};

}  // namespace ringway::bench
