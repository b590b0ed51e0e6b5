#include "overlay/crawl/crawl.hpp"

#include <algorithm>
#include <utility>

#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay {

bool Crawl::start() {
  if (walk_ != nullptr) return false;
  const CrawlParameters& p = core_.parameters.crawl;
  result_.reset();
  walk_ = std::make_unique<Walk>();
  walk_->began = core_.now();
  const Distance whole = Distance::max();
  for (std::size_t i = 1; i < p.seeds; ++i) {
    const std::uint64_t high = whole.high / p.seeds * i;
    walk_->places.push_back(advance(core_.self(), Distance{high, 0, 0}));
  }
  record({core_.self(), own_reply(), 0, 0});
  ask_more();
  return true;
}

wire::CrawlReply Crawl::own_reply() const {
  wire::CrawlReply reply;
  for (const NodeId& node : near_.right())
    reply.right.add(node);
  for (const NodeId& node : near_.left())
    reply.left.add(node);
  reply.links = static_cast<std::uint8_t>(std::min<std::size_t>(core_.links.size(), 255));
  return reply;
}

void Crawl::reply(const wire::RoutedMessage& message, const wire::Request& request) {
  if (!request.body.empty()) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  wire::ByteWriter body;
  wire::emit(body, own_reply());
  rpc_.reply_for_service(message, request, body.view());
}

void Crawl::record(CrawledNode node) {
  auto& nodes = walk_->result.nodes;
  const auto at = std::lower_bound(
      nodes.begin(), nodes.end(), node.node,
      [](const CrawledNode& crawled, const NodeId& id) { return crawled.node < id; });
  if (at != nodes.end() && at->node == node.node) return;  // by its place, and by its ID
  auto& known = walk_->known;
  const auto place = std::lower_bound(known.begin(), known.end(), node.node);
  if (place == known.end() || *place != node.node) known.insert(place, node.node);
  const wire::CrawlReply said = node.said;
  nodes.insert(at, std::move(node));
  for (const auto* const side : {&said.right, &said.left})
    for (const NodeId& neighbour : *side)
      consider(neighbour);
}

void Crawl::consider(const NodeId& node) {
  auto& known = walk_->known;
  const auto at = std::lower_bound(known.begin(), known.end(), node);
  if (at != known.end() && *at == node) return;
  if (known.size() >= core_.parameters.crawl.max_nodes) return;
  known.insert(at, node);
  walk_->to_ask.push_back(node);
}

bool Crawl::ask(const NodeId& place, bool exact) {
  Query query;
  query.purpose = Purpose::kCrawl;
  query.method = wire::Method::kCrawl;
  query.destination = place;
  query.route = {wire::Direction::kNearest, exact, exact};
  query.tries = core_.parameters.crawl.tries;
  return rpc_.ask(query) != 0;
}

void Crawl::ask_more() {
  Walk& walk = *walk_;
  while (walk.waiting < core_.parameters.crawl.window) {
    const bool place = !walk.places.empty();
    auto& from = place ? walk.places : walk.to_ask;
    if (from.empty()) break;
    // No room for the request: with the next answer. If none is on its way there is no ring.
    if (!ask(from.back(), !place)) {
      if (walk.waiting > 0) return;
      if (!place) walk.result.silent.push_back(from.back());
    } else {
      ++walk.waiting;
    }
    from.pop_back();
  }
  if (walk.waiting == 0) finish();
}

void Crawl::on_answer(const Answer& answer) {
  if (walk_ == nullptr) return;
  --walk_->waiting;
  if (answer.tries > 1) walk_->result.repeated += static_cast<std::uint32_t>(answer.tries - 1);
  // This node itself may be the nearest to a place: it is recorded already.
  const bool another = answer.answered && answer.responder != core_.self();
  const auto reply = wire::parse_crawl_reply(answer.body);
  if (another && reply) {
    record({answer.responder, *reply, answer.hops, answer.tries});
  } else {
    if (another) core_.drops.add(Drop::kMalformed);
    if (answer.query.route.exact) walk_->result.silent.push_back(answer.query.destination);
  }
  ask_more();
}

void Crawl::finish() {
  CrawlResult& result = walk_->result;
  std::sort(result.silent.begin(), result.silent.end());
  result.took = core_.now() - walk_->began;
  result.inconsistencies =
      find_inconsistencies(result.nodes, result.silent, core_.parameters.near_a_side);
  result_ = std::make_unique<CrawlResult>(std::move(result));
  walk_.reset();
  core_.output.tell(output::CrawlDone{static_cast<std::uint32_t>(result_->nodes.size()),
                                      static_cast<std::uint32_t>(result_->silent.size()),
                                      static_cast<std::uint32_t>(result_->inconsistencies.size()),
                                      result_->took});
}

}  // namespace ringway::overlay
