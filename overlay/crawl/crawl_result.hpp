// What a crawl found, and whether the nodes agree about who stands beside whom.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.hpp"
#include "overlay/wire/crawl_messages.hpp"

namespace ringway::overlay {

struct CrawledNode {
  NodeId node;
  wire::CrawlReply said;
  std::uint8_t hops = 0;
  int tries = 0;
};

// A node names another neighbour than the one that the crawl found in its place.
struct Inconsistency {
  enum class Kind : std::uint8_t {
    kMissing,  // it names nobody
    kSilent,   // it names a node that did not answer: dead, or not reached
    kOther,    // it names another: it has not heard of the right one yet, or it lies
  };
  Kind kind = Kind::kMissing;
  NodeId node;
  bool right = false;  // side
  std::uint8_t position = 0;
  NodeId named;  // unless kMissing
  NodeId found;
};

struct CrawlResult {
  Duration took;
  std::vector<CrawledNode> nodes;  // by ID, the crawling node among them
  std::vector<NodeId> silent;      // named by others, and gave no answer
  std::vector<Inconsistency> inconsistencies;
  std::uint32_t repeated = 0;  // requests that were asked again: lost, or their replies
};

// Compares what each node says of its `a_side` neighbours of both sides with who was found.
// nodes: sorted by ID. silent: sorted.
[[nodiscard]] std::vector<Inconsistency> find_inconsistencies(const std::vector<CrawledNode>& nodes,
                                                              const std::vector<NodeId>& silent,
                                                              std::size_t a_side);

namespace output {
// A crawl has ended; Overlay::crawl_result() is there until the next begins.
struct CrawlDone {
  std::uint32_t nodes = 0;
  std::uint32_t silent = 0;
  std::uint32_t inconsistencies = 0;
  Duration took;
};
}  // namespace output

}  // namespace ringway::overlay
