// The overlay's messages: what is emitted parses back, the bytes are those of docs/PROTOCOL.md, and
// whatever is cut, lengthened or lies about its counts is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "overlay/sim/modelled_signatures.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"
#include "overlay/wire/routed_message.hpp"
#include "overlay/wire/rpc_messages.hpp"

namespace ringway::overlay::wire {
namespace {

using Buffer = std::vector<std::uint8_t>;

Buffer copy(ConstBytes bytes) {
  return {bytes.begin(), bytes.end()};
}

net::Endpoint endpoint(const char* text) {
  return *net::Endpoint::parse(text);
}

Candidates two_candidates() {
  Candidates candidates;
  candidates.add(endpoint("192.0.2.1:51820"));
  candidates.add(endpoint("[2001:db8::1]:4500"));
  return candidates;
}

Candidates one_candidate() {
  Candidates candidates;
  candidates.add(endpoint("192.0.2.9:4000"));
  return candidates;
}

Contacts contacts(std::size_t count) {
  SeededRng rng(7);
  Contacts result;
  while (result.size() < count)
    result.add({NodeId::random(rng), two_candidates()});
  return result;
}

Buffer emitted(const LinkMessage& message) {
  ByteWriter writer;
  emit(writer, message);
  return copy(writer.view());
}

std::vector<LinkMessage> one_of_each() {
  return {Hello{{kWantsNear, 80, 5, {}}, two_candidates(), one_candidate()},
          Heartbeat{kWantsNear | kWantsLeaf, 81, 6, {7, -8, 9, 10}},
          Ping{0x01020304},
          Pong{0x01020304},
          StatusRequest{},
          Status{9, contacts(kMaxContacts)},
          Goodbye{GoodbyeReason::kBusy},
          HopAck{77}};
}

// Nothing that lacks bytes or has more of them than its fields is understood.
template <typename Parse>
void expect_only_whole(const Buffer& message, Parse parse) {
  ASSERT_TRUE(parse(message));
  for (std::size_t length = 0; length < message.size(); ++length)
    EXPECT_FALSE(
        parse(Buffer(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(length))))
        << length;
  Buffer longer = message;
  longer.push_back(0);
  EXPECT_FALSE(parse(longer));
}

TEST(LinkMessages, ComeBackAsTheyWere) {
  for (const LinkMessage& message : one_of_each()) {
    const Buffer bytes = emitted(message);
    const auto parsed = parse_link_message(bytes);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->index(), message.index());
    EXPECT_EQ(emitted(*parsed), bytes);
  }
}

TEST(LinkMessages, HaveTheBytesOfTheSpecification) {
  EXPECT_EQ(emitted(Heartbeat{kWantsShortcut, 80, 0x01020304, {-1, 2, 3, 4}}),
            (Buffer{1, 2, 2, 80, 1, 2, 3, 4, 0xFF, 0xFF, 0, 2, 0, 3, 4}));
  EXPECT_EQ(emitted(Ping{0x0A0B0C0D}), (Buffer{1, 3, 0x0A, 0x0B, 0x0C, 0x0D}));
  EXPECT_EQ(emitted(Goodbye{GoodbyeReason::kLeaving}), (Buffer{1, 7, 1}));
  Hello hello;
  hello.candidates.add(endpoint("192.0.2.1:258"));
  EXPECT_EQ(emitted(hello),
            (Buffer{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 1, 4, 192, 0, 2, 1, 1, 2, 0}));
}

TEST(LinkMessages, AreRefusedUnlessWhole) {
  for (const LinkMessage& message : one_of_each())
    expect_only_whole(emitted(message),
                      [](const Buffer& bytes) { return parse_link_message(bytes).has_value(); });
}

TEST(LinkMessages, RefusesLyingCounts) {
  Buffer status = emitted(Status{1, contacts(2)});
  status[6] = 3;  // more than there are
  EXPECT_FALSE(parse_link_message(status));
  status[6] = 1;  // fewer
  EXPECT_FALSE(parse_link_message(status));
  status[6] = 255;  // more than may be
  EXPECT_FALSE(parse_link_message(status));
}

TEST(LinkMessages, RefusesUnknownValues) {
  EXPECT_FALSE(parse_link_message(Buffer{2, 5}));   // version
  EXPECT_FALSE(parse_link_message(Buffer{1, 0}));   // type
  EXPECT_FALSE(parse_link_message(Buffer{1, 10}));  // type
  EXPECT_FALSE(parse_link_message(Buffer{1, 2, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));  // wants
  EXPECT_FALSE(parse_link_message(Buffer{1, 2, 0, 0, 0, 0, 0, 0, 0x3E, 0x81, 0, 0, 0, 0,
                                         0}));  // beyond any network: 4 s and more
  EXPECT_TRUE(parse_link_message(Buffer{1, 2, 0, 0, 0, 0, 0, 0, 0x3E, 0x80, 0, 0, 0, 0, 0}));
  EXPECT_FALSE(parse_link_message(Buffer{1, 7, 0}));  // reason
  EXPECT_FALSE(parse_link_message(Buffer{1, 7, 7}));  // reason
  EXPECT_FALSE(parse_link_message(Buffer{1, 1, 0, 0, 0, 0,   0, 0, 0, 0, 0, 0,
                                         0, 0, 0, 1, 5, 192, 0, 2, 1, 1, 2}));  // address family
  EXPECT_FALSE(parse_link_message(
      Buffer{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 192, 0, 2, 1, 0, 0}));  // port
}

TEST(LinkMessages, RefusesWhatIsTooLong) {
  Buffer oversized(kMaxMessageBytes + 1, 0);
  oversized[0] = kVersion;
  oversized[1] = static_cast<std::uint8_t>(LinkMessageType::kStatus);
  EXPECT_FALSE(link_message_type(oversized));
}

class RoutedMessages : public testing::Test {
 protected:
  RoutedMessages() : self_(NodeId::random(rng_)), signer_(self_) {
    group_.fill(3);
    message_.ttl = 100;
    message_.route = {Direction::kSuccessor, true, true};
    message_.source = self_;
    message_.destination = NodeId::random(rng_);
    message_.via = NodeId::random(rng_);
    message_.message_id = 42;
    message_.sent = WallTime::from_unix_ns(1'767'225'600'123'000'000);
    message_.credential = signer_.credential();
    message_.payload = payload_;
  }
  [[nodiscard]] Buffer emitted_message() {
    ByteWriter writer;
    emit_signed(writer, message_, group_, signer_);
    return copy(writer.view());
  }

  SeededRng rng_{9};
  NodeId self_;
  sim::ModelledSigner signer_;
  sim::ModelledVerifier verifier_;
  GroupId group_{};
  Buffer payload_{1, 2, 3, 4, 5};
  RoutedMessage message_;
};

TEST_F(RoutedMessages, ComeBackAsTheyWereAndAuthentic) {
  const Buffer bytes = emitted_message();
  const auto parsed = parse_routed(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->route.direction, Direction::kSuccessor);
  EXPECT_TRUE(parsed->route.exact && parsed->route.annealing);
  EXPECT_EQ(parsed->source, self_);
  EXPECT_EQ(parsed->destination, message_.destination);
  EXPECT_EQ(parsed->via, message_.via);
  EXPECT_EQ(parsed->message_id, 42U);
  EXPECT_EQ(parsed->sent, message_.sent);
  EXPECT_EQ(copy(parsed->payload), payload_);
  EXPECT_TRUE(verify(*parsed, group_, verifier_));
}

TEST_F(RoutedMessages, RoutersMayChangeOnlyWhatIsTheirs) {
  Buffer bytes = emitted_message();
  store_hop_fields(bytes, {513, 4, 96, true});
  const auto passed_on = parse_routed(bytes);
  ASSERT_TRUE(passed_on);
  EXPECT_EQ(passed_on->sequence, 513);
  EXPECT_EQ(passed_on->hops, 4);
  EXPECT_EQ(passed_on->ttl, 96);
  EXPECT_TRUE(passed_on->detour_taken);
  EXPECT_TRUE(verify(*passed_on, group_, verifier_));
  constexpr std::size_t kSignedFrom = 7;
  for (std::size_t at = kSignedFrom; at < bytes.size(); ++at) {
    Buffer changed = bytes;
    changed[at] ^= 1;
    const auto parsed = parse_routed(changed);
    EXPECT_FALSE(parsed && verify(*parsed, group_, verifier_)) << "byte " << at;
  }
}

TEST_F(RoutedMessages, MeanNothingInAnotherGroup) {
  const Buffer bytes = emitted_message();
  const auto parsed = parse_routed(bytes);
  ASSERT_TRUE(parsed);
  GroupId other = group_;
  other[15] ^= 1;
  EXPECT_FALSE(verify(*parsed, other, verifier_));
}

TEST_F(RoutedMessages, AreRefusedUnlessWhole) {
  expect_only_whole(emitted_message(),
                    [](const Buffer& bytes) { return parse_routed(bytes).has_value(); });
  message_.via.reset();
  expect_only_whole(emitted_message(),
                    [](const Buffer& bytes) { return parse_routed(bytes).has_value(); });
}

TEST_F(RoutedMessages, RefuseLyingLengthsAndUnknownBits) {
  const Buffer bytes = emitted_message();
  const auto with = [&](std::size_t at, std::uint8_t value) {
    Buffer changed = bytes;
    changed[at] = value;
    return parse_routed(changed).has_value();
  };
  constexpr std::size_t kCredentialLengthAt = 8 + 3 * 20 + 8 + 8 + 1;
  EXPECT_TRUE(with(6, 1));
  EXPECT_FALSE(with(6, 2));                         // detour
  EXPECT_FALSE(with(7, 0x17));                      // direction 3
  EXPECT_FALSE(with(7, 0x20));                      // a bit without a meaning
  EXPECT_FALSE(with(kCredentialLengthAt, 0x02));    // over the bound
  EXPECT_FALSE(with(kCredentialLengthAt + 1, 41));  // not what is there
  EXPECT_FALSE(with(kCredentialLengthAt + 1, 0));
}

TEST(RpcMessages, ComeBackAsTheyWereAndAreRefusedUnlessWhole) {
  for (const Method method : {Method::kFind, Method::kConnect, Method::kLookup}) {
    Request request;
    request.method = method;
    request.request_id = 0x0102030405060708;
    request.reply_via = NodeId(Distance{1, 2, 3});
    request.wants = kWantsNear;
    const Buffer sealed(kSealOverhead + 20, 7);
    if (method == Method::kConnect) request.sealed = sealed;
    ByteWriter request_bytes;
    emit(request_bytes, request);
    expect_only_whole(copy(request_bytes.view()),
                      [](const Buffer& bytes) { return parse_request(bytes).has_value(); });
    const auto request_back = parse_request(request_bytes.view());
    EXPECT_EQ(request_back->request_id, request.request_id);
    EXPECT_EQ(request_back->reply_via, request.reply_via);

    EXPECT_EQ(copy(request_back->sealed), copy(request.sealed));

    Reply reply{method, 5, 6, {}, {}};
    if (method != Method::kLookup) reply.sealed = sealed;
    ByteWriter reply_bytes;
    emit(reply_bytes, reply);
    expect_only_whole(copy(reply_bytes.view()),
                      [](const Buffer& bytes) { return parse_reply(bytes).has_value(); });
    EXPECT_EQ(parse_reply(reply_bytes.view())->hops, 6);
  }
}

TEST(RpcMessages, LeaveOutContactsThatDoNotFit) {
  Contacts many;
  for (std::uint32_t i = 0; i < kMaxContacts; ++i) {
    Contact contact{NodeId(Distance{0, 0, i}), {}};
    for (std::uint16_t port = 1; port <= kMaxCandidates; ++port) {
      net::Endpoint candidate = endpoint("[2001:db8::1]:1");
      candidate.port = port;
      contact.candidates.add(candidate);
    }
    many.add(contact);
  }
  ByteWriter writer;
  emit(writer, Whereabouts{kWantsNear, two_candidates(), many}, 600);
  EXPECT_LE(writer.size() + 600, kMaxMessageBytes);
  const auto parsed = parse_whereabouts(writer.view());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->contacts.size(), 5U);
}

TEST(RpcMessages, WhatIsSealedIsThereOrLeftOutWhole) {
  const auto request_with = [](std::size_t bytes) {
    const Buffer sealed(bytes, 7);
    Request request;
    request.method = Method::kConnect;
    request.sealed = sealed;
    ByteWriter writer;
    emit(writer, request);
    return parse_request(writer.view()).has_value();
  };
  EXPECT_TRUE(request_with(0));  // the destination's key is not known yet
  EXPECT_FALSE(request_with(1));
  EXPECT_FALSE(request_with(kSealOverhead));
  EXPECT_TRUE(request_with(kSealOverhead + 1));
  ByteWriter reply;
  emit(reply, Reply{Method::kConnect, 5, 6, {}, {}});
  EXPECT_FALSE(parse_reply(reply.view()));
}

TEST(RpcMessages, WhatWasSealedIsRefusedUnlessWhole) {
  ByteWriter whereabouts;
  emit(whereabouts, Whereabouts{kWantsNear, two_candidates(), contacts(4)});
  expect_only_whole(copy(whereabouts.view()),
                    [](const Buffer& bytes) { return parse_whereabouts(bytes).has_value(); });
  ByteWriter candidates;
  candidates.candidates(two_candidates());
  expect_only_whole(copy(candidates.view()),
                    [](const Buffer& bytes) { return parse_candidates(bytes).has_value(); });
}

TEST(RpcMessages, TheBodyOfAServiceIsCarriedAsItIs) {
  const std::array<std::uint8_t, 3> body{7, 8, 9};
  Request request;
  request.method = Method{kFirstServiceMethod};
  request.body = body;
  ByteWriter request_bytes;
  emit(request_bytes, request);
  const auto request_back = parse_request(request_bytes.view());
  ASSERT_TRUE(request_back);
  EXPECT_EQ(copy(request_back->body), copy(body));

  Reply reply;
  reply.method = Method{kFirstServiceMethod};
  reply.body = body;
  ByteWriter reply_bytes;
  emit(reply_bytes, reply);
  const auto reply_back = parse_reply(reply_bytes.view());
  ASSERT_TRUE(reply_back);
  EXPECT_EQ(copy(reply_back->body), copy(body));
}

}  // namespace
}  // namespace ringway::overlay::wire
