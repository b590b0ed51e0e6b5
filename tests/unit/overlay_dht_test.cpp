// The DHT among a few nodes in memory: who holds what, who may write it, and what a hostile node
// achieves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "overlay/dht/records.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay::dht {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes text(std::string_view characters) {
  const ConstBytes bytes = bytes_of(characters);
  return {bytes.begin(), bytes.end()};
}

Order order_of(Task task, Kind kind, std::string_view name, std::string_view payload = {}) {
  Order order;
  order.task = task;
  order.kind = kind;
  order.name = text(name);
  order.payload = text(payload);
  return order;
}

Order read_owned(const NodeId& owner, std::string_view name) {
  Order order = order_of(Task::kGet, Kind::kOwned, name);
  order.owner = owner;
  return order;
}

class DhtTest : public VillageTest {
 protected:
  std::uint64_t begin(std::size_t node, const Order& order) {
    const std::uint64_t operation = village_[node].dht(village_.clock()).begin(order);
    EXPECT_NE(operation, 0U);
    return operation;
  }
  // Begins it, and waits for its end.
  output::DhtDone run(std::size_t node, const Order& order) {
    const std::uint64_t operation = begin(node, order);
    for (int seconds = 0; seconds < 60; ++seconds) {
      village_.pass(Duration::seconds(1));
      if (const auto* const done = end_of(node, operation)) return *done;
    }
    ADD_FAILURE() << "the operation did not end";
    return {};
  }
  const output::DhtDone* end_of(std::size_t node, std::uint64_t operation) {
    for (const auto& told : village_.events) {
      const auto* const done = std::get_if<output::DhtDone>(&told.event);
      if (told.node == node && done != nullptr && done->operation == operation) return done;
    }
    return nullptr;
  }
  bool holds(std::size_t node, const Order& order, std::size_t owner) {
    const Key key = village_[owner].dht().key(order);
    const auto* const entry =
        village_[node].dht().replica().values().find(key, village_[owner].self());
    return entry != nullptr && !entry->removed;
  }
  std::size_t holders(const Order& order, std::size_t owner) {
    std::size_t count = 0;
    for (std::size_t node = 0; node < nodes_; ++node)
      if (holds(node, order, owner)) ++count;
    return count;
  }
  void grow_sixteenths(std::size_t count, const sim::ModelledGrants& grants = {}) {
    for (std::size_t i = 0; i < count; ++i) {
      village_.add(NodeId(Distance{std::uint64_t{i} << 60, 0, 1}), grants);
      if (i > 0) village_.knows(i, 0);
      village_.start(i);
      village_.pass(Duration::seconds(5));
    }
    village_.pass(kLong);
    nodes_ = count;
  }
  void grow(std::size_t count, const sim::ModelledGrants& grants = {}) {
    VillageTest::grow(count, grants);
    nodes_ = count;
  }
  template <typename Content>
  static Bytes emitted(const Content& content) {
    wire::ByteWriter writer;
    emit(writer, content);
    return {writer.view().begin(), writer.view().end()};
  }
  // Whose reply `lie` gives another body says and signs that.
  using Lie = std::function<std::optional<Bytes>(std::size_t from, ConstBytes body)>;
  void let_lie(wire::Method method, const Lie& lie) {
    village_.on_message = [=, this](Village::Message& message) {
      const auto routed = wire::parse_routed(message.bytes);
      if (!routed || routed->payload_type != wire::PayloadType::kReply ||
          routed->source != village_[message.from].self())
        return;
      auto reply = wire::parse_reply(routed->payload);
      if (!reply || reply->method != method) return;
      const auto body = lie(message.from, reply->body);
      if (!body) return;
      reply->body = *body;
      const Bytes payload = emitted(*reply);
      wire::RoutedMessage lying = *routed;
      lying.payload = payload;
      sim::ModelledSigner signer(routed->source);
      wire::ByteWriter writer;
      wire::emit_signed(writer, lying, {}, signer);
      message.bytes.assign(writer.view().begin(), writer.view().end());
    };
  }
  Bytes hand_over_of(const Record& record) {
    wire::ByteWriter writer;
    writer.byte(wire::kVersion);
    writer.byte(static_cast<std::uint8_t>(kHandOverMessage));
    emit(writer, record);
    return {writer.view().begin(), writer.view().end()};
  }
  // A lease that `owner` signed without asking anybody.
  Bytes lease_of(const NodeId& owner, std::string_view name) {
    sim::ModelledSigner signer(owner);
    const Bytes bytes = text(name);
    Value value;
    value.kind = Kind::kLease;
    value.owner = owner;
    value.sequence = 1;
    value.not_after = village_.clock().wall + Duration::seconds(600);
    value.name = bytes;
    return sign_value(value, {}, signer);
  }

  std::size_t nodes_ = 0;
};

TEST_F(DhtTest, WhatOneNodePutsAllCanRead) {
  grow(5);
  const Order put = order_of(Task::kPut, Kind::kOwned, "note", "hello");
  const auto stored = run(1, put);
  EXPECT_EQ(stored.result, Result::kDone);
  EXPECT_TRUE(stored.majority);
  EXPECT_EQ(holders(put, 1), 5U);  // a ring of fewer than eight: all of them
  for (std::size_t node = 0; node < 5; ++node) {
    const auto read = run(node, read_owned(village_[1].self(), "note"));
    EXPECT_TRUE(read.majority);
    ASSERT_EQ(read.values.size(), 1U);
    EXPECT_EQ(read.values[0].payload, text("hello"));
    EXPECT_EQ(read.values[0].owner, village_[1].self());
  }
}

TEST_F(DhtTest, EightNodesAroundTheKeyHoldAValueAndSoonTwoSpareOnes) {
  grow_sixteenths(14);
  const Order put = order_of(Task::kPut, Kind::kOwned, "note", "hello");
  run(1, put);
  EXPECT_EQ(holders(put, 1), kMaxReplicas);
  village_.pass(kLong);
  EXPECT_EQ(holders(put, 1), kMaxReplicas + 2 * kSparesASide);
}

TEST_F(DhtTest, WhatNobodyPutIsNotThere) {
  grow(3);
  const auto read = run(0, read_owned(village_[1].self(), "note"));
  EXPECT_EQ(read.result, Result::kNothing);
  EXPECT_TRUE(read.majority);
}

TEST_F(DhtTest, TheLastVersionCounts) {
  grow(4);
  run(1, order_of(Task::kPut, Kind::kOwned, "note", "first"));
  run(1, order_of(Task::kPut, Kind::kOwned, "note", "second"));
  const auto read = run(2, read_owned(village_[1].self(), "note"));
  ASSERT_EQ(read.values.size(), 1U);
  EXPECT_EQ(read.values[0].payload, text("second"));
}

TEST_F(DhtTest, OwnersAppendUnderOneKey) {
  grow(4);
  run(1, order_of(Task::kPut, Kind::kMember, "printers", "one"));
  run(2, order_of(Task::kPut, Kind::kMember, "printers", "two"));
  const auto read = run(3, order_of(Task::kGet, Kind::kMember, "printers"));
  ASSERT_EQ(read.values.size(), 2U);
}

TEST_F(DhtTest, MoreValuesThanAMessageHoldsAreReadPageByPage) {
  grow(8);
  const std::string large(kMaxPayloadBytes, 'x');
  for (std::size_t node = 1; node < 8; ++node)  // the ID of the first one is zero: before all pages
    run(node, order_of(Task::kPut, Kind::kMember, "printers", large));
  const auto read = run(0, order_of(Task::kGet, Kind::kMember, "printers"));
  EXPECT_EQ(read.values.size(), 7U);
}

TEST_F(DhtTest, CredentialsThatDoNotFitAreAskedFor) {
  grow_sixteenths(14, {.credential_bytes = kMaxCredentialBytes});
  const std::string large(kMaxPayloadBytes, 'x');
  std::size_t asked = 0;
  village_.on_message = [&](Village::Message& message) {
    const auto routed = wire::parse_routed(message.bytes);
    if (!routed || routed->payload_type != wire::PayloadType::kRequest) return;
    const auto request = wire::parse_request(routed->payload);
    if (request && request->method == kCredentialMethod) ++asked;
  };
  EXPECT_EQ(run(1, order_of(Task::kPut, Kind::kOwned, "note", large)).result, Result::kDone);
  const Order put = order_of(Task::kPut, Kind::kOwned, "note");
  std::size_t reader = 2;  // none that holds it
  while (holds(reader, put, 1))
    ++reader;
  const auto read = run(reader, read_owned(village_[1].self(), "note"));
  EXPECT_TRUE(read.majority);
  ASSERT_EQ(read.values.size(), 1U);
  EXPECT_EQ(read.values[0].payload, text(large));
  EXPECT_GT(asked, 0U);
}

// Replicas say the sequence that is there, and nobody signed that.
TEST_F(DhtTest, ASequenceThatNoClockExplainsIsNotBelieved) {
  grow(4);
  let_lie(kStoreMethod, [](std::size_t from, ConstBytes body) -> std::optional<Bytes> {
    if (from < 2) return std::nullopt;
    StoreReply said = *parse_store_reply(body);
    said.outcome = Outcome::kStale;
    said.sequence = UINT64_MAX - 1;
    return emitted(said);
  });
  EXPECT_EQ(run(1, order_of(Task::kPut, Kind::kOwned, "note", "first")).result,
            Result::kNoMajority);
  village_.on_message = nullptr;
  EXPECT_EQ(run(1, order_of(Task::kPut, Kind::kOwned, "note", "second")).result, Result::kDone);
  const auto read = run(0, read_owned(village_[1].self(), "note"));
  ASSERT_EQ(read.values.size(), 1U);
  EXPECT_EQ(read.values[0].payload, text("second"));
  EXPECT_LT(read.values[0].sequence, UINT64_MAX / 2);
}

TEST_F(DhtTest, WhoAlwaysHasMoreToSayIsNotListenedToForEver) {
  grow(4);
  run(1, order_of(Task::kPut, Kind::kMember, "printers", "one"));
  std::size_t replies = 0;
  let_lie(kGetMethod, [&](std::size_t from, ConstBytes body) -> std::optional<Bytes> {
    if (from != 2) return std::nullopt;
    ++replies;
    GetReply said = *parse_get_reply(body);
    said.more = true;
    if (said.nodes.empty()) said.nodes.add(village_[2].self());
    said.records = {};
    return emitted(said);
  });
  const auto read = run(3, order_of(Task::kGet, Kind::kMember, "printers"));
  EXPECT_TRUE(read.majority);
  EXPECT_EQ(read.values.size(), 1U);
  village_.pass(kLong);
  EXPECT_GT(replies, 1U);
  EXPECT_LE(replies, DhtParameters{}.max_values_a_key + 2);
}

// The two that the ring finds say that there is nobody else.
TEST_F(DhtTest, AFewReplicasAreNoMajorityWhereThereAreEight) {
  grow_sixteenths(14);
  run(1, order_of(Task::kPut, Kind::kMember, "printers", "one"));
  let_lie(kGetMethod, [](std::size_t, ConstBytes) {
    return emitted(GetReply{true, false, {}, {}});
  });
  const auto read = run(12, order_of(Task::kGet, Kind::kMember, "printers"));
  EXPECT_EQ(read.result, Result::kNoMajority);
  EXPECT_FALSE(read.majority);
}

TEST_F(DhtTest, ARemovedValueStaysRemoved) {
  grow(4);
  run(1, order_of(Task::kPut, Kind::kOwned, "note", "hello"));
  const Key key = village_[1].dht().key(order_of(Task::kPut, Kind::kOwned, "note"));
  const auto* const entry = village_[2].dht().replica().values().find(key, village_[1].self());
  ASSERT_NE(entry, nullptr);
  const Bytes old = hand_over_of(entry->record());
  Order remove = order_of(Task::kRemove, Kind::kOwned, "note");
  remove.ttl = Duration::seconds(60);  // the value itself would have lived longer
  EXPECT_EQ(run(1, remove).result, Result::kDone);
  village_.pass(Duration::seconds(120));
  inject(2, 3, old);  // a replica that brings it back
  EXPECT_GT(dropped(3, Drop::kValueStale), 0U);
  const auto read = run(3, read_owned(village_[1].self(), "note"));
  EXPECT_EQ(read.result, Result::kNothing);
  EXPECT_TRUE(read.values.empty());
}

TEST_F(DhtTest, AKeyHasOneHolder) {
  grow(5);
  const Order lease = order_of(Task::kCreate, Kind::kLease, "\x0a\x01\x02\x03");
  EXPECT_EQ(run(1, lease).result, Result::kDone);
  const auto refused = run(2, lease);
  EXPECT_EQ(refused.result, Result::kHeld);
  EXPECT_EQ(refused.holder, village_[1].self());
  EXPECT_EQ(run(1, lease).result, Result::kDone);  // its own: renewed
  EXPECT_EQ(run(1, order_of(Task::kRemove, Kind::kLease, "\x0a\x01\x02\x03")).result,
            Result::kDone);
  EXPECT_EQ(run(2, lease).result, Result::kDone);
}

TEST_F(DhtTest, OfTwoWhoCreateAtOnceOneHoldsTheKey) {
  grow(6);
  for (char last = 1; last <= 5; ++last) {
    const std::string address{10, 1, 2, last};
    const Order lease = order_of(Task::kCreate, Kind::kLease, address);
    const std::uint64_t first = begin(1, lease);
    const std::uint64_t second = begin(4, lease);
    village_.pass(kLong);
    ASSERT_NE(end_of(1, first), nullptr);
    ASSERT_NE(end_of(4, second), nullptr);
    const bool first_has_it = end_of(1, first)->result == Result::kDone;
    const bool second_has_it = end_of(4, second)->result == Result::kDone;
    EXPECT_NE(first_has_it, second_has_it);
  }
}

TEST_F(DhtTest, TheLowerHashKeepsALeaseThatTwoPartsOfARingGave) {
  grow(4);
  const Order lease = order_of(Task::kCreate, Kind::kLease, "\x0a\x01\x02\x03");
  ASSERT_EQ(run(1, lease).result, Result::kDone);
  sim::ModelledVerifier verifier;
  const auto weight = [&](const NodeId& owner) {
    wire::ByteWriter writer;
    writer.bytes(lease.name);
    writer.node_id(owner);
    return verifier.place_of(writer.view());
  };
  NodeId stronger(Distance{3, 3, 0});
  NodeId weaker(Distance{4, 4, 0});
  while (weight(stronger) > weight(village_[1].self()))
    stronger = advance(stronger, Distance{0, 0, 1});
  while (weight(weaker) < weight(village_[1].self()))
    weaker = advance(weaker, Distance{0, 0, 1});

  const sim::ModelledSigner weak_signer(weaker);
  const Bytes weak = lease_of(weaker, "\x0a\x01\x02\x03");
  inject(2, 3, hand_over_of({weak, weak_signer.credential()}));
  village_.pass(kLong);
  EXPECT_EQ(village_.last_event<output::DhtLost>(), nullptr);
  EXPECT_EQ(holders(lease, 1), 4U);

  const sim::ModelledSigner strong_signer(stronger);
  const Bytes strong = lease_of(stronger, "\x0a\x01\x02\x03");
  inject(2, 3, hand_over_of({strong, strong_signer.credential()}));
  village_.pass(kLong);
  const auto* const lost = village_.last_event<output::DhtLost>();
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(lost->holder, stronger);
  EXPECT_FALSE(village_[1].dht().holds(lease));
  EXPECT_EQ(holders(lease, 1), 0U);
}

TEST_F(DhtTest, WhoLosesAnAddressTakesAnother) {
  grow(4);
  const auto network = net::Prefix::parse("10.1.0.0/16");
  ASSERT_TRUE(network);
  village_[1].dht(village_.clock()).take_address(*network);
  village_.pass(kLong);
  const auto first = village_[1].dht().lease().address();
  ASSERT_TRUE(first);
  EXPECT_TRUE(network->contains(*first));
  // By certificate it is node 4's, who was away.
  const auto number = load_be<std::uint32_t>(first->bytes.data());
  village_.add(eighth(4), {.address = number});
  village_.knows(4, 0);
  village_.start(4);
  village_.pass(kLong);
  village_[4].dht(village_.clock()).take_address(*network, first);
  village_.pass(kLong);
  EXPECT_EQ(village_[4].dht().lease().address(), first);
  const auto* const lost = village_.last_event<output::AddressLost>();
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(lost->address, *first);
  const auto second = village_[1].dht().lease().address();
  ASSERT_TRUE(second);
  EXPECT_NE(*second, *first);
}

TEST_F(DhtTest, AGatewayNeedsItsRole) {
  grow(3);
  EXPECT_EQ(run(1, announce(Kind::kGateway, bytes_of("10 Gbit/s"))).result, Result::kRefused);
  EXPECT_GT(dropped(0, Drop::kValueNotAllowed), 0U);
  village_.add(eighth(3), {.roles = true});
  village_.knows(3, 0);
  village_.start(3);
  village_.pass(kLong);
  EXPECT_EQ(run(3, announce(Kind::kGateway, bytes_of("1 Gbit/s"))).result, Result::kDone);
  const auto read = run(0, list(Kind::kGateway));
  ASSERT_EQ(read.values.size(), 1U);
  EXPECT_EQ(read.values[0].owner, village_[3].self());
}

TEST_F(DhtTest, ANodeThatComesNearerIsHandedWhatItAnswersFor) {
  grow(3);
  const Order put = order_of(Task::kPut, Kind::kOwned, "note", "hello");
  run(1, put);
  village_.add(eighth(5));
  village_.knows(3, 0);
  village_.start(3);
  village_.pass(kLong);
  nodes_ = 4;
  EXPECT_EQ(holders(put, 1), 4U);
}

// All ten that held the value vanish, and its owner: those who answer for the key now never knew
// it.
TEST_F(DhtTest, NoMajoritySaysThatNothingIsThereWhereAllWhoKnewVanished) {
  grow_sixteenths(16);
  const std::size_t owner = 0;
  int number = 0;
  Order put = order_of(Task::kPut, Kind::kOwned, std::to_string(number), "hello");
  const auto from_owner = [&] {
    return ring_distance(village_[owner].self(), village_[owner].dht().key(put));
  };
  while (from_owner() < Distance{std::uint64_t{7} << 60, 0, 0})
    put.name = text(std::to_string(++number));
  ASSERT_EQ(run(owner, put).result, Result::kDone);
  village_.pass(Duration::seconds(30));
  ASSERT_EQ(holders(put, owner), 10U);
  std::vector<std::size_t> left;
  for (std::size_t node = 1; node < 16; ++node)
    holds(node, put, owner) ? village_.silence(node) : left.push_back(node);
  village_.silence(owner);

  const Order read = read_owned(village_[owner].self(), std::to_string(number));
  village_.pass(Duration::seconds(30));
  const auto soon = run(left[0], read);
  EXPECT_EQ(soon.result, Result::kNoMajority);
  EXPECT_FALSE(soon.majority);
  // Had an owner been alive, it would have put it again by then.
  village_.pass(DhtParameters{}.orphaned_time);
  const auto later = run(left[0], read);
  EXPECT_EQ(later.result, Result::kNothing);
  EXPECT_TRUE(later.majority);
}

TEST_F(DhtTest, ANodeThatComesAnswersForAKeyWhenItHasAllThatIsThere) {
  grow(3);
  std::vector<Order> puts;
  for (int number = 0; number < 60; ++number) {  // two pages of an offer
    puts.push_back(order_of(Task::kPut, Kind::kOwned, std::to_string(number), "x"));
    begin(1, puts.back());
    village_.pass(Duration::seconds(1));
  }
  village_.add(eighth(5));
  village_.knows(3, 0);
  enum class Lost : std::uint8_t { kValues, kSecondPages, kNothing };
  Lost lost = Lost::kValues;
  village_.on_message = [&](Village::Message& message) {
    const auto type = wire::link_message_type(message.bytes);
    const bool value = type == kHandOverMessage;
    const bool second_page = type == kOfferMessage && message.bytes[wire::kLinkHeaderBytes] == 1;
    if (message.to == 3 &&
        (lost == Lost::kValues ? value : lost == Lost::kSecondPages && second_page))
      message.bytes.clear();
  };
  village_.start(3);
  const auto settled = [&] {
    const Neighbourhood& around = village_[3].dht().replica().neighbourhood();
    return around.settled(village_[1].dht().key(puts[0]));
  };
  village_.pass(Duration::seconds(20));
  EXPECT_FALSE(settled());
  lost = Lost::kSecondPages;
  village_.pass(Duration::seconds(20));
  EXPECT_FALSE(settled());
  lost = Lost::kNothing;
  village_.pass(Duration::seconds(10));
  EXPECT_TRUE(settled());
  for (const Order& put : puts)
    EXPECT_TRUE(holds(3, put, 1));
}

TEST_F(DhtTest, ValuesOutliveTheirTimeAsLongAsTheOwnerDoes) {
  grow(3);
  Order put = order_of(Task::kPut, Kind::kOwned, "note", "hello");
  put.ttl = Duration::seconds(120);
  run(1, put);
  village_.pass(Duration::seconds(600));
  EXPECT_EQ(holders(put, 1), 3U);
  village_.silence(1);
  village_.pass(Duration::seconds(180));
  nodes_ = 1;
  EXPECT_EQ(holders(put, 1), 0U);
}

TEST_F(DhtTest, WhoSubscribedIsToldOfChanges) {
  grow(5);
  const Order put = order_of(Task::kPut, Kind::kMember, "printers", "one");
  Order subscription = order_of(Task::kSubscribe, Kind::kMember, "printers");
  run(3, subscription);
  EXPECT_EQ(village_.last_event<output::DhtChanged>(), nullptr);
  run(1, put);
  village_.pass(Duration::seconds(1));
  const auto* changed = village_.last_event<output::DhtChanged>();
  ASSERT_NE(changed, nullptr);
  EXPECT_EQ(changed->value.payload, text("one"));
  const std::size_t before = village_.events.size();
  run(2, order_of(Task::kPut, Kind::kMember, "scanners", "two"));
  EXPECT_EQ(village_.events.size(), before + 1);  // the put's own end
  run(1, order_of(Task::kRemove, Kind::kMember, "printers"));
  changed = village_.last_event<output::DhtChanged>();
  EXPECT_TRUE(changed->removed);
}

TEST_F(DhtTest, NoticesThatNobodyAskedForAreDropped) {
  grow(5);
  const Order subscription = order_of(Task::kSubscribe, Kind::kMember, "printers");
  run(3, subscription);
  village_[3].dht(village_.clock()).unsubscribe(subscription);  // replicas do not know that yet
  run(1, order_of(Task::kPut, Kind::kMember, "printers", "one"));
  village_.pass(Duration::seconds(1));
  EXPECT_EQ(village_.last_event<output::DhtChanged>(), nullptr);
  EXPECT_GT(dropped(3, Drop::kUnexpected), 0U);
}

TEST_F(DhtTest, AReplicaCannotMakeAValueUp) {
  grow(4);
  const NodeId victim = village_[1].self();
  Bytes forged = lease_of(victim, "\x0a\x01\x02\x04");
  forged.back() ^= 1;
  const sim::ModelledSigner signer(victim);
  inject(2, 3, hand_over_of({forged, signer.credential()}));
  EXPECT_EQ(dropped(3, Drop::kValueForged), 1U);
  EXPECT_TRUE(village_[3].dht().replica().values().empty());
}

TEST_F(DhtTest, MalformedMessagesAreCounted) {
  grow(3);
  const std::uint32_t before = dropped(1, Drop::kMalformed);
  for (const auto type : {kOfferMessage, kWantMessage, kHandOverMessage})
    inject(0, 1, {wire::kVersion, static_cast<std::uint8_t>(type), 0xFF, 0xFF});
  EXPECT_EQ(dropped(1, Drop::kMalformed), before + 3);
}

TEST_F(DhtTest, AFloodOfStoresIsBounded) {
  grow(2);
  const DhtParameters parameters;
  for (std::uint32_t i = 0; i < 4 * parameters.max_values_an_owner; ++i) {
    Order put = order_of(Task::kPut, Kind::kOwned, std::to_string(i), "x");
    village_[0].dht(village_.clock()).begin(put);
    village_.pass(Duration::seconds(1));
  }
  EXPECT_LE(village_[1].dht().replica().values().size(), parameters.max_values_an_owner);
  EXPECT_GT(dropped(0, Drop::kOperationsFull), 0U);
}

}  // namespace
}  // namespace ringway::overlay::dht
