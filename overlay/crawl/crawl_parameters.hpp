// The numbers of a crawl.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringway::overlay {

struct CrawlParameters {
  std::size_t window = 16;  // requests that wait for replies, of the 64 that a node may have
  std::size_t seeds = 16;   // places at which it begins at once: one after the other takes long
  int tries = 3;            // then the node is silent
  std::size_t max_nodes = 100'000;
};

}  // namespace ringway::overlay
