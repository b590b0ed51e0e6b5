#include "bench/pipeline_crew.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "bench/measure.hpp"

namespace ringway::bench {
namespace {

// Some seconds, for a round of milliseconds: what has not come out by then was dropped, and the
// check of the round says why.
constexpr std::uint64_t kPatienceCycles = std::uint64_t{1} << 34;

// Where threads wait for each other.
class StartingLine {
 public:
  explicit StartingLine(std::size_t threads) : missing_(threads) {}
  void wait() {
    --missing_;
    while (missing_ != 0) {
    }
  }

 private:
  std::atomic<std::size_t> missing_;
};

}  // namespace

Result<std::unique_ptr<PipelineCrew>> PipelineCrew::open(const TrafficShape& shape,
                                                         const PipelineBenchOptions& options) {
  std::unique_ptr<PipelineCrew> crew(new PipelineCrew(shape, options));
  for (std::uint32_t worker = 0; worker < shape.workers; ++worker) {
    TrafficShape own = shape;
    own.worker = worker;
    auto member = Pipeline::open(own, options);
    if (!member) return tl::unexpected<Error>(std::move(member.error()));
    crew->members_.push_back(std::move(*member));
  }
  if (shape.workers == 1) return crew;
  for (const auto& member : crew->members_) {
    member->join(crew->mesh_);
    for (const auto& other : crew->members_) {
      if (other != member) member->meet(*other);
    }
  }
  return crew;
}

Result<double> PipelineCrew::run(std::uint64_t sample_interval) {
  for (const auto& member : members_)
    member->begin_round(sample_interval);
  for (std::size_t i = 1; i < members_.size(); ++i)
    members_[i]->traffic().exchange_misplaced(members_[i - 1]->traffic());

  StartingLine line(members_.size());
  std::atomic<std::size_t> busy = members_.size();
  std::vector<std::uint64_t> cycles(members_.size());
  const auto work = [&](std::size_t i) {
    (void)pin_to_core(first_core_ + static_cast<unsigned>(i));
    Pipeline& member = *members_[i];
    const std::uint64_t copying = member.copy_cycles();
    line.wait();
    const std::uint64_t start = tsc();
    while (member.packets_sent() < shape_.packets && tsc() - start < kPatienceCycles)
      member.turn();
    cycles[i] = tsc() - start - (member.copy_cycles() - copying);
    // Others' packets may still arrive here, and our buffers come home.
    for (--busy; busy != 0;)
      member.turn();
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < members_.size(); ++i)
    threads.emplace_back(work, i);
  for (std::thread& thread : threads)
    thread.join();

  for (int turns = 0; turns < 2; ++turns) {
    for (const auto& member : members_)
      member->turn();
  }
  for (const auto& member : members_) {
    if (auto checked = member->end_round(); !checked) {
      return tl::unexpected<Error>(std::move(checked.error()));
    }
  }
  const double packets = static_cast<double>(shape_.packets) * static_cast<double>(members_.size());
  return static_cast<double>(*std::ranges::max_element(cycles)) / packets;
}

std::uint64_t PipelineCrew::samples_compared() const {
  std::uint64_t sum = 0;
  for (const auto& member : members_)
    sum += member->samples_compared();
  return sum;
}

std::uint64_t PipelineCrew::live_mappings() const {
  std::uint64_t sum = 0;
  for (const auto& member : members_)
    sum += member->live_mappings();
  return sum;
}

}  // namespace ringway::bench
