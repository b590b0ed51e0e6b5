#include "overlay/crawl/crawl_result.hpp"

#include <algorithm>

namespace ringway::overlay {

std::vector<Inconsistency> find_inconsistencies(const std::vector<CrawledNode>& nodes,
                                                const std::vector<NodeId>& silent,
                                                std::size_t a_side) {
  using Kind = Inconsistency::Kind;
  std::vector<Inconsistency> result;
  const std::size_t count = nodes.size();
  const std::size_t others = std::min(a_side, count > 0 ? count - 1 : 0);
  for (std::size_t place = 0; place < count; ++place) {
    for (const bool right : {true, false}) {
      const auto& side = right ? nodes[place].said.right : nodes[place].said.left;
      for (std::size_t i = 0; i < others; ++i) {
        const std::size_t step = right ? 1 + i : count - 1 - i;
        const NodeId& found = nodes[(place + step) % count].node;
        if (i < side.size() && side[i] == found) continue;
        Inconsistency each{
            Kind::kMissing, nodes[place].node, right, static_cast<std::uint8_t>(i), {}, found};
        if (i < side.size()) {
          each.named = side[i];
          each.kind = std::binary_search(silent.begin(), silent.end(), side[i]) ? Kind::kSilent
                                                                                : Kind::kOther;
        }
        result.push_back(each);
      }
    }
  }
  return result;
}

}  // namespace ringway::overlay
