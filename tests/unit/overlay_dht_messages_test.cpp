// What the DHT puts on the wire: values and bodies parse back, and whatever is cut, lengthened or
// lies about its counts is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "overlay/dht/admission.hpp"
#include "overlay/dht/messages.hpp"
#include "overlay/dht/reading.hpp"
#include "overlay/dht/records.hpp"
#include "overlay/sim/modelled_signatures.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

using Bytes = std::vector<std::uint8_t>;

const NodeId kOwner(Distance{7, 8, 9});

Bytes signed_value(std::size_t payload_bytes, bool removed = false) {
  sim::ModelledSigner signer(kOwner);
  const Bytes payload(payload_bytes, 5);
  Value value;
  value.kind = Kind::kMember;
  value.removed = removed;
  value.owner = kOwner;
  value.sequence = 0x0102030405060708;
  value.not_after = WallTime::from_unix_ns(1'767'225'600'000'000'000);
  value.name = bytes_of("printers");
  value.payload = payload;
  return sign_value(value, {}, signer);
}

template <typename Content>
Bytes emitted(const Content& content) {
  wire::ByteWriter writer;
  emit(writer, content);
  return {writer.view().begin(), writer.view().end()};
}

template <typename Parse>
void expect_whole_only(Bytes bytes, Parse parse) {
  ASSERT_TRUE(parse(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(parse(ConstBytes(bytes).first(size))) << size;
  bytes.push_back(0);
  EXPECT_FALSE(parse(bytes));
}

TEST(DhtValue, ParsesBackAndIsTheOwners) {
  const Bytes bytes = signed_value(100);
  expect_whole_only(bytes, parse_value);
  const auto value = parse_value(bytes);
  ASSERT_TRUE(value);
  EXPECT_EQ(value->kind, Kind::kMember);
  EXPECT_EQ(value->owner, kOwner);
  EXPECT_EQ(value->sequence, 0x0102030405060708U);
  EXPECT_EQ(value->payload.size(), 100U);
  sim::ModelledVerifier verifier;
  sim::ModelledSigner owner(kOwner);
  EXPECT_TRUE(verify(*value, owner.credential(), {}, verifier));
  EXPECT_FALSE(verify(*value, owner.credential(), {1}, verifier));  // another group
  const sim::ModelledSigner other(NodeId(Distance{1, 0, 0}));
  EXPECT_FALSE(verify(*value, other.credential(), {}, verifier));
}

TEST(DhtValue, EveryBitIsSigned) {
  const Bytes bytes = signed_value(20);
  sim::ModelledVerifier verifier;
  const sim::ModelledSigner owner(kOwner);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    Bytes changed = bytes;
    changed[at] ^= 1;
    const auto value = parse_value(changed);
    EXPECT_FALSE(value && verify(*value, owner.credential(), {}, verifier)) << at;
  }
}

TEST(DhtValue, TheLargestFitsIntoAMessageWithTheLargestCredential) {
  const std::size_t envelope = wire::kRoutedOverhead + NodeId::kBytes + kMaxCredentialBytes;
  EXPECT_LE(envelope + wire::kServiceOverhead + 4 + kMaxValueBytes, wire::kMaxMessageBytes);
  EXPECT_EQ(signed_value(kMaxPayloadBytes).size(), kMaxValueBytes - kMaxNameBytes + 8);
}

TEST(DhtValue, ATombstoneHasNoPayload) {
  EXPECT_TRUE(parse_value(signed_value(0, true)));
  EXPECT_FALSE(parse_value(signed_value(1, true)));
}

TEST(DhtMessages, ParseBackAndNothingElse) {
  const Bytes value = signed_value(30);
  const Bytes credential(40, 3);
  const Record record{value, credential};
  Nodes nodes;
  nodes.add(kOwner);
  StoreReply store_reply;
  store_reply.outcome = Outcome::kHeld;
  store_reply.nodes = nodes;
  store_reply.holder = record;
  GetReply get_reply;
  get_reply.settled = get_reply.more = true;
  get_reply.nodes = nodes;
  get_reply.records.add(record);
  get_reply.records.add({value, {}});
  Versions versions;
  versions.add({kOwner, 9});
  expect_whole_only(emitted(record), parse_record);
  expect_whole_only(emitted(store_reply), parse_store_reply);
  expect_whole_only(emitted(GetRequest{kOwner, true, kOwner}), parse_get);
  expect_whole_only(emitted(get_reply), parse_get_reply);
  expect_whole_only(emitted(SubscribeRequest{kOwner, 300}), parse_subscribe);
  expect_whole_only(emitted(SubscribeReply{Outcome::kFull, nodes}), parse_subscribe_reply);
  expect_whole_only(emitted(versions), parse_versions);
  expect_whole_only(emitted(Offer{1, true, {}, versions}), parse_offer);
  const NodeId next = advance(kOwner, Distance{0, 0, 1});
  for (const KeyRange& word : {KeyRange{false, kOwner, next}, KeyRange{true, kOwner, kOwner}}) {
    const Bytes offer = emitted(Offer{0, false, word, versions});
    expect_whole_only(offer, parse_offer);
    EXPECT_EQ(parse_offer(offer)->word, word);
  }
  EXPECT_EQ(emitted(*parse_get_reply(emitted(get_reply))), emitted(get_reply));
  EXPECT_EQ(emitted(*parse_store_reply(emitted(store_reply))), emitted(store_reply));
}

TEST(DhtMessages, LyingCountsAreRefused) {
  Versions versions;
  while (versions.add({kOwner, versions.size()})) {
  }
  Bytes bytes = emitted(versions);
  EXPECT_TRUE(parse_versions(bytes));
  bytes[0] = kMaxVersions + 1;
  EXPECT_FALSE(parse_versions(bytes));
  EXPECT_FALSE(parse_record(Bytes{0, 0, 0, 0}));  // no value
  const std::size_t too_long = kMaxValueBytes + 1;
  Bytes value(2 + too_long + 2);
  store_be(value.data(), static_cast<std::uint16_t>(too_long));
  EXPECT_FALSE(parse_record(value));
}

TEST(DhtKeys, BelongToGroupKindNameAndOwner) {
  sim::ModelledVerifier verifier;
  const NodeId other(Distance{1, 0, 0});
  const auto key = [&](Kind kind, const NodeId& owner, std::string_view name,
                       const wire::GroupId& group = {}) {
    return key_of(verifier, group, kind, owner, bytes_of(name));
  };
  EXPECT_EQ(key(Kind::kName, kOwner, "nas"), key(Kind::kName, other, "nas"));
  EXPECT_NE(key(Kind::kOwned, kOwner, "nas"), key(Kind::kOwned, other, "nas"));
  EXPECT_NE(key(Kind::kName, kOwner, "nas"), key(Kind::kMember, kOwner, "nas"));
  EXPECT_NE(key(Kind::kName, kOwner, "nas"), key(Kind::kName, kOwner, "nas", {1}));
}

TEST(DhtNames, ThoseThatMeanSomethingElseAreRefused) {
  for (const char* const name : {"wpad", "localhost", "isatap", "WPAD", "Localhost", "", "-a", "a-",
                                 "a.b", "a_b", "n\xc3\xa9"})
    EXPECT_FALSE(name_from_text(name)) << name;
  EXPECT_FALSE(name_from_text(std::string(64, 'a')));
  EXPECT_TRUE(name_from_text(std::string(63, 'a')));
  EXPECT_EQ(*name_from_text("NAS-2"), Bytes({'n', 'a', 's', '-', '2'}));
}

TEST(DhtRevocations, ParseBack) {
  RevocationEntry entry;
  entry.list_number = 17;
  entry.revoked.add(kOwner);
  const auto parsed = parse_revocation(encode(entry));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->list_number, 17U);
  EXPECT_EQ(parsed->revoked[0], kOwner);
  expect_whole_only(encode(entry), parse_revocation);
  while (entry.revoked.add(kOwner)) {
  }
  EXPECT_LE(encode(entry).size(), kMaxPayloadBytes);
}

TEST(DhtMemory, AnEarlierVersionIsNotBelievedAnyMore) {
  const DhtParameters parameters;
  Memory memory(parameters);
  const auto at = [](std::int64_t seconds) {
    return WallTime::from_unix_ns(seconds * 1'000'000'000);
  };
  EXPECT_TRUE(memory.remember(kOwner, kOwner, 5, at(100)));
  EXPECT_FALSE(memory.remember(kOwner, kOwner, 4, at(100)));
  EXPECT_TRUE(memory.is_rolled_back(kOwner, kOwner, 4, at(50)));
  EXPECT_FALSE(memory.is_rolled_back(kOwner, kOwner, 5, at(50)));
  EXPECT_FALSE(memory.is_rolled_back(kOwner, kOwner, 4, at(101)));  // both would be over
}

}  // namespace
}  // namespace ringway::overlay::dht
