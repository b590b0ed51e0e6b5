// Crawls: what counts as an inconsistency, a crawl of eight nodes in memory with and without one
// that lies, and the file that keeps crawls.

#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "overlay/crawl/crawl_result.hpp"
#include "overlay/store/crawl_store.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/crawl_messages.hpp"
#include "overlay/wire/rpc_messages.hpp"
#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay {
namespace {

using Kind = Inconsistency::Kind;

// Eight nodes that agree, as a crawl records them.
std::vector<CrawledNode> eight_that_agree() {
  std::vector<CrawledNode> nodes;
  for (std::uint64_t i = 0; i < 8; ++i) {
    CrawledNode node{eighth(i), {}, 2, 1};
    for (const std::uint64_t step : {1U, 2U}) {
      node.said.right.add(eighth((i + step) % 8));
      node.said.left.add(eighth((i + 8 - step) % 8));
    }
    node.said.links = 5;
    nodes.push_back(node);
  }
  return nodes;
}

TEST(CrawlResults, OfNodesThatAgreeHaveNoInconsistency) {
  EXPECT_TRUE(find_inconsistencies(eight_that_agree(), {}, 2).empty());
  EXPECT_TRUE(find_inconsistencies({}, {}, 2).empty());
  EXPECT_TRUE(find_inconsistencies({{eighth(1), {}, 0, 0}}, {}, 2).empty());  // a ring of one
}

TEST(CrawlResults, TellWhoDoesNotAgreeAndHow) {
  auto nodes = eight_that_agree();
  nodes[2].said.right[0] = eighth(4);                              // another
  nodes[3].said.left.clear();                                      // nobody, twice
  nodes[5].said.right[1] = advance(eighth(7), Distance{1, 0, 0});  // one that is silent
  const auto found = find_inconsistencies(nodes, {nodes[5].said.right[1]}, 2);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].kind, Kind::kOther);
  EXPECT_EQ(found[0].node, eighth(2));
  EXPECT_EQ(found[0].named, eighth(4));
  EXPECT_EQ(found[0].found, eighth(3));
  EXPECT_TRUE(found[0].right);
  EXPECT_EQ(found[1].kind, Kind::kMissing);
  EXPECT_EQ(found[2].kind, Kind::kMissing);
  EXPECT_FALSE(found[2].right);
  EXPECT_EQ(found[2].position, 1);
  EXPECT_EQ(found[3].kind, Kind::kSilent);
}

TEST(CrawlMessages, AreRefusedUnlessWholeAndWithinBounds) {
  wire::CrawlReply reply;
  reply.right.add(eighth(1));
  reply.left.add(eighth(2));
  reply.left.add(eighth(3));
  reply.links = 9;
  wire::ByteWriter writer;
  wire::emit(writer, reply);
  std::vector<std::uint8_t> bytes(writer.view().begin(), writer.view().end());
  EXPECT_EQ(bytes.size(), 1 + 20 + 1 + 40 + 1U);
  const auto parsed = wire::parse_crawl_reply(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->left, reply.left);
  EXPECT_EQ(parsed->links, 9);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(wire::parse_crawl_reply({bytes.data(), length})) << length;
  bytes[0] = wire::kMaxCrawledASide + 1;
  EXPECT_FALSE(wire::parse_crawl_reply(bytes));
}

class Crawls : public VillageTest {
 protected:
  Crawls() { grow(8); }

  const CrawlResult* crawl(std::size_t from) {
    EXPECT_TRUE(village_[from].start_crawl(village_.clock()));
    village_.settle();
    village_.pass(Duration::seconds(60));
    EXPECT_NE(village_.last_event<output::CrawlDone>(), nullptr);
    return village_[from].crawl_result();
  }
  // Replies of this node to a crawl are changed before they leave it, and signed by it.
  template <typename Change>
  void lies(std::size_t node, Change change) {
    village_.on_message = [node, change](Village::Message& message) {
      const auto routed = wire::parse_routed(message.bytes);
      if (message.from != node || !routed || routed->source != eighth(node)) return;
      auto reply = wire::parse_reply(routed->payload);
      if (routed->payload_type != wire::PayloadType::kReply || !reply ||
          reply->method != wire::Method::kCrawl)
        return;
      wire::CrawlReply said = *wire::parse_crawl_reply(reply->body);
      change(said);
      wire::ByteWriter body;
      wire::emit(body, said);
      reply->body = body.view();
      wire::ByteWriter payload;
      wire::emit(payload, *reply);
      wire::RoutedMessage lie = *routed;
      lie.payload = payload.view();
      sim::ModelledSigner signer(eighth(node));
      wire::ByteWriter writer;
      wire::emit_signed(writer, lie, {}, signer);
      message.bytes.assign(writer.view().begin(), writer.view().end());
    };
  }
};

TEST_F(Crawls, FindEveryNodeAndThatTheyAgree) {
  const CrawlResult* const result = crawl(3);
  ASSERT_NE(result, nullptr);
  ASSERT_EQ(result->nodes.size(), 8U);
  for (std::uint64_t i = 0; i < 8; ++i)
    EXPECT_EQ(result->nodes[i].node, eighth(i));
  EXPECT_TRUE(result->silent.empty());
  EXPECT_TRUE(result->inconsistencies.empty());
  EXPECT_EQ(village_.last_event<output::CrawlDone>()->nodes, 8U);
}

TEST_F(Crawls, FindANodeThatLeavesItsNeighbourOut) {
  lies(2, [](wire::CrawlReply& said) {
    said.right.clear();
    said.right.add(eighth(4));
    said.right.add(eighth(5));
  });
  const CrawlResult* const result = crawl(7);
  ASSERT_EQ(result->nodes.size(), 8U);  // the one that it hides, too
  ASSERT_EQ(result->inconsistencies.size(), 2U);
  for (const Inconsistency& each : result->inconsistencies) {
    EXPECT_EQ(each.node, eighth(2));
    EXPECT_EQ(each.kind, Kind::kOther);
    EXPECT_TRUE(each.right);
  }
}

TEST_F(Crawls, FindANodeThatInventsNeighbours) {
  const NodeId invented = advance(eighth(2), Distance{5, 0, 0});
  lies(2, [&](wire::CrawlReply& said) { said.right[0] = invented; });
  const CrawlResult* const result = crawl(7);
  EXPECT_EQ(result->nodes.size(), 8U);
  EXPECT_THAT(result->silent, testing::ElementsAre(invented));
  ASSERT_EQ(result->inconsistencies.size(), 1U);
  EXPECT_EQ(result->inconsistencies[0].node, eighth(2));
  EXPECT_EQ(result->inconsistencies[0].kind, Kind::kSilent);
}

TEST_F(Crawls, GoAroundANodeThatHasJustDied) {
  village_.silence(4);
  const CrawlResult* const result = crawl(0);
  EXPECT_EQ(result->nodes.size(), 7U);
  EXPECT_THAT(result->silent, testing::ElementsAre(eighth(4)));
  EXPECT_GT(result->repeated, 0U);
}

TEST_F(Crawls, AreDoneOneAtATime) {
  EXPECT_TRUE(village_[3].start_crawl(village_.clock()));
  EXPECT_FALSE(village_[3].start_crawl(village_.clock()));
}

TEST(CrawlStores, KeepCrawlsAndTellWhoCameAndWent) {
  const std::string path = testing::TempDir() + "crawl_store_test.sqlite";
  std::remove(path.c_str());
  CrawlResult first;
  first.nodes = eight_that_agree();
  first.took = Duration::seconds(3);
  CrawlResult second = first;
  second.nodes.erase(second.nodes.begin() + 2, second.nodes.begin() + 4);
  second.nodes.push_back({advance(eighth(7), Distance{1, 0, 0}), {}, 2, 1});
  second.silent = {eighth(2)};
  second.inconsistencies = find_inconsistencies(second.nodes, second.silent, 2);
  const std::size_t wrong = second.inconsistencies.size();
  {
    auto store = store::CrawlStore::open(path);
    ASSERT_TRUE(store) << store.error().text();
    ASSERT_TRUE(store->add(WallTime::from_unix_ns(1'000'000'000'000), first));
    ASSERT_TRUE(store->add(WallTime::from_unix_ns(1'060'000'000'000), second));
  }
  auto again = store::CrawlStore::open(path);
  ASSERT_TRUE(again);
  const auto crawls = again->summaries();
  ASSERT_TRUE(crawls) << crawls.error().text();
  ASSERT_EQ(crawls->size(), 2U);
  EXPECT_EQ((*crawls)[0].at_s, 1000);
  EXPECT_EQ((*crawls)[0].nodes, 8);
  EXPECT_EQ((*crawls)[0].came, 0);
  EXPECT_EQ((*crawls)[0].links_mean, 5);
  EXPECT_EQ((*crawls)[1].nodes, 7);
  EXPECT_EQ((*crawls)[1].came, 1);
  EXPECT_EQ((*crawls)[1].went, 2);
  EXPECT_EQ((*crawls)[1].silent, 1);
  EXPECT_EQ((*crawls)[1].inconsistencies, static_cast<std::int64_t>(wrong));
  std::remove(path.c_str());
}

TEST(CrawlStores, SayWhichFileCannotBeUsed) {
  const auto nowhere = store::CrawlStore::open("/nonexistent/crawls.sqlite");
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().text(), testing::HasSubstr("/nonexistent/crawls.sqlite"));
  const std::string path = testing::TempDir() + "no_crawl_store_test.txt";
  std::FILE* const file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fputs("This file is a text and has nothing to do with crawls of a ring.\n", file);
  std::fclose(file);
  const auto text = store::CrawlStore::open(path);
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().text(), testing::HasSubstr(path));
  std::remove(path.c_str());
}

}  // namespace
}  // namespace ringway::overlay
