#include "overlay/sim/crawl_recorder.hpp"

#include <cinttypes>
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

namespace ringway::overlay::sim {

CrawlRecorder::CrawlRecorder(Simulation& simulation, store::CrawlStore store, Duration first,
                             Duration interval)
    : simulation_(simulation), store_(std::move(store)), interval_(interval) {
  simulation_.schedule(simulation_.now() + first, [this] { begin(); });
  simulation_.add_observer([this](NodeIndex node, const Event& event) {
    if (std::holds_alternative<output::CrawlDone>(event)) keep(node);
  });
}

void CrawlRecorder::begin() {
  simulation_.schedule(simulation_.now() + interval_, [this] { begin(); });
  for (const NodeIndex node : simulation_.alive()) {
    if (!simulation_.overlay(node).in_ring()) continue;
    simulation_.act(node, [](Overlay& overlay, Clock clock) { return overlay.start_crawl(clock); });
    return;
  }
}

void CrawlRecorder::keep(NodeIndex node) {
  const auto added =
      store_.add(simulation_.clock(node).wall, *simulation_.overlay(node).crawl_result());
  if (!added && written_) written_ = added;
}

int print_crawls(const std::string& path, bool json) {
  auto store = store::CrawlStore::open(path);
  const auto crawls = store ? store->summaries() : tl::unexpected(store.error());
  if (!crawls) {
    std::fprintf(stderr, "ringway-sim: %s\n", crawls.error().text().c_str());
    return 2;
  }
  if (json) {
    auto list = nlohmann::ordered_json::array();
    for (const store::CrawlSummary& crawl : *crawls)
      list.push_back({{"at_s", crawl.at_s},
                      {"took_s", crawl.took_s},
                      {"nodes", crawl.nodes},
                      {"came", crawl.came},
                      {"went", crawl.went},
                      {"silent", crawl.silent},
                      {"inconsistencies", crawl.inconsistencies},
                      {"repeated", crawl.repeated},
                      {"links_mean", crawl.links_mean},
                      {"hops_mean", crawl.hops_mean}});
    std::printf("%s\n", list.dump(2).c_str());
    return 0;
  }
  std::printf("%8s %8s %7s %6s %6s %6s %7s %8s %6s %6s\n", "minute", "took s", "nodes", "came",
              "went", "silent", "wrong", "repeated", "links", "hops");
  for (const store::CrawlSummary& crawl : *crawls) {
    std::printf("%8.1f %8.1f %7" PRId64 " %6" PRId64 " %6" PRId64 " %6" PRId64 " %7" PRId64
                " %8" PRId64 " %6.1f %6.1f\n",
                static_cast<double>(crawl.at_s - crawls->front().at_s) / 60, crawl.took_s,
                crawl.nodes, crawl.came, crawl.went, crawl.silent, crawl.inconsistencies,
                crawl.repeated, crawl.links_mean, crawl.hops_mean);
  }
  return 0;
}

}  // namespace ringway::overlay::sim
