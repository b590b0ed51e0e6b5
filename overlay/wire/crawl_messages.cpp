#include "overlay/wire/crawl_messages.hpp"

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::wire {

std::optional<CrawlReply> parse_crawl_reply(ConstBytes body) {
  ByteReader reader(body);
  CrawlReply reply;
  for (auto* const side : {&reply.right, &reply.left})
    for (std::size_t left = reader.count(kMaxCrawledASide); left > 0 && !reader.failed(); --left)
      side->add(reader.node_id());
  reply.links = reader.number<std::uint8_t>();
  if (!reader.complete()) return std::nullopt;
  return reply;
}

void emit(ByteWriter& writer, const CrawlReply& reply) {
  for (const auto* const side : {&reply.right, &reply.left}) {
    writer.byte(static_cast<std::uint8_t>(side->size()));
    for (const NodeId& node : *side)
      writer.node_id(node);
  }
  writer.byte(reply.links);
}

}  // namespace ringway::overlay::wire
