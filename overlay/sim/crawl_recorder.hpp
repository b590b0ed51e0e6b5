// Crawls of a simulated ring, one after the other by the first node alive, kept in a file; and what
// such a file says.
#pragma once

#include <string>

#include "overlay/sim/simulation.hpp"
#include "overlay/store/crawl_store.hpp"

namespace ringway::overlay::sim {

class CrawlRecorder {
 public:
  // The first crawl begins `first` from now. The simulation must outlive it and not run without it.
  CrawlRecorder(Simulation& simulation, store::CrawlStore store, Duration first, Duration interval);

  // The first failure to write, or nothing.
  [[nodiscard]] const Result<void>& written() const { return written_; }

 private:
  void begin();
  void keep(NodeIndex node);

  Simulation& simulation_;
  store::CrawlStore store_;
  Duration interval_;
  Result<void> written_;
};

// Prints a line for each crawl in the file. The exit status: 0, or 2 when it cannot be read.
[[nodiscard]] int print_crawls(const std::string& path, bool json);

}  // namespace ringway::overlay::sim
