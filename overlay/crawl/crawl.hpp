// Walks the ring: asks every node for its near neighbours by signed requests that only that node
// can answer, and each neighbour that is named for its own. Neighbours of both sides are followed,
// so that a node which leaves others out when it names its neighbours does not hide them: they are
// named by those behind them.
//
//   start()   own neighbours, and whoever is at places all around
//   on_answer()   records the node, asks those it named        done when nobody is left
#pragma once

#include <memory>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/crawl/crawl_result.hpp"
#include "overlay/near_neighbours.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay {

class Crawl {
 public:
  Crawl(Core& core, Rpc& rpc, const NearNeighbours& near) : core_(core), rpc_(rpc), near_(near) {}

  // False when one is under way.
  bool start();
  void on_answer(const Answer& answer);
  // Answers another node's request.
  void reply(const wire::RoutedMessage& message, const wire::Request& request);
  // Of the last crawl; null when there was none.
  [[nodiscard]] const CrawlResult* result() const { return result_.get(); }

 private:
  struct Walk {
    Instant began;
    std::size_t waiting = 0;     // requests without an answer yet
    std::vector<NodeId> places;  // to begin at
    std::vector<NodeId> to_ask;
    std::vector<NodeId> known;  // sorted: to be asked, asked, or answered
    CrawlResult result;
  };
  [[nodiscard]] wire::CrawlReply own_reply() const;
  void record(CrawledNode node);
  void consider(const NodeId& node);
  void ask_more();
  [[nodiscard]] bool ask(const NodeId& place, bool exact);
  void finish();

  Core& core_;
  Rpc& rpc_;
  const NearNeighbours& near_;
  std::unique_ptr<Walk> walk_;
  std::unique_ptr<CrawlResult> result_;
};

}  // namespace ringway::overlay
