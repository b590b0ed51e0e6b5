// What a crawl asks each node for: who its near neighbours are. The request's body is empty.
//
//   reply's body   count(1) right neighbours(20 each), nearest first
//                  count(1) left neighbours(20 each), nearest first
//                  links(1)   how many it has, 255 for more
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "overlay/contact.hpp"

namespace ringway::overlay::wire {

inline constexpr std::size_t kMaxCrawledASide = 4;

struct CrawlReply {
  BoundedList<NodeId, kMaxCrawledASide> right;
  BoundedList<NodeId, kMaxCrawledASide> left;
  std::uint8_t links = 0;
};

[[nodiscard]] std::optional<CrawlReply> parse_crawl_reply(ConstBytes body);

class ByteWriter;
void emit(ByteWriter& writer, const CrawlReply& reply);

}  // namespace ringway::overlay::wire
