// Candidates are for whom they concern: what a seal withstands, with X25519 as a node has it and as
// the simulator models it, and eight nodes in memory whose addresses no node on the way reads.

#include <sodium.h>

#include <gtest/gtest.h>

#include "overlay/sealing.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay {
namespace {

using Buffer = std::vector<std::uint8_t>;

// As docs/PROTOCOL.md has it.
class X25519Sealer final : public Sealer {
 public:
  X25519Sealer(const NodeId&, Rng& rng) : rng_(rng) {
    rng_.fill(private_);
    CHECK(crypto_scalarmult_base(public_.data(), private_.data()) == 0);
  }
  [[nodiscard]] SealingKey key() const { return public_; }
  [[nodiscard]] bool seal(const SealingKey& to, ConstBytes context, ConstBytes plain,
                          Bytes sealed) override {
    SealingKey ephemeral;
    rng_.fill(ephemeral);
    CHECK(crypto_scalarmult_base(sealed.data(), ephemeral.data()) == 0);
    Secret key;
    if (!agree(ephemeral, to, sealed.first(kSealingKeyBytes), to, key)) return false;
    return crypto_aead_chacha20poly1305_ietf_encrypt(
               sealed.data() + kSealingKeyBytes, nullptr, plain.data(), plain.size(),
               context.data(), context.size(), nullptr, kNonce.data(), key.data()) == 0;
  }
  [[nodiscard]] bool open(ConstBytes context, ConstBytes sealed, Bytes plain) override {
    SealingKey ephemeral;
    std::copy_n(sealed.begin(), ephemeral.size(), ephemeral.begin());
    Secret key;
    if (!agree(private_, ephemeral, ephemeral, public_, key)) return false;
    const ConstBytes text = sealed.subspan(kSealingKeyBytes);
    return crypto_aead_chacha20poly1305_ietf_decrypt(plain.data(), nullptr, nullptr, text.data(),
                                                     text.size(), context.data(), context.size(),
                                                     kNonce.data(), key.data()) == 0;
  }

 private:
  using Secret = std::array<std::uint8_t, crypto_auth_hmacsha256_BYTES>;
  static constexpr std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> kNonce{};

  [[nodiscard]] static bool agree(const SealingKey& own, const SealingKey& other,
                                  ConstBytes ephemeral, const SealingKey& receiver, Secret& key) {
    Secret shared;
    if (crypto_scalarmult(shared.data(), own.data(), other.data()) != 0) return false;
    Buffer keys(ephemeral.begin(), ephemeral.end());
    keys.insert(keys.end(), receiver.begin(), receiver.end());
    return crypto_auth_hmacsha256(key.data(), keys.data(), keys.size(), shared.data()) == 0;
  }

  Rng& rng_;
  SealingKey private_;
  SealingKey public_;
};

SealingKey key_of(const X25519Sealer& sealer, const NodeId&) {
  return sealer.key();
}
SealingKey key_of(const sim::ModelledSealer&, const NodeId& node) {
  return sim::ModelledSealer::key_of(node);
}

template <typename Kind>
class Seals : public testing::Test {
 protected:
  Buffer sealed(const SealContext& context) {
    Buffer bytes(plain_.size() + kSealOverhead);
    EXPECT_TRUE(alice_.seal(key_of(bob_, eighth(2)), context, plain_, bytes));
    return bytes;
  }
  // Empty: not opened.
  static Buffer opened(Sealer& by, const SealContext& context, const Buffer& sealed) {
    Buffer plain(sealed.size() - kSealOverhead);
    return by.open(context, sealed, plain) ? plain : Buffer{};
  }
  SeededRng rng_{3};
  Kind alice_{eighth(1), rng_};
  Kind bob_{eighth(2), rng_};
  Kind carol_{eighth(3), rng_};
  const SealedIn in_{eighth(1), eighth(2), 77};
  const SealContext context_ = seal_context({}, in_);
  const Buffer plain_{1, 4, 192, 0, 2, 1, 202, 108};
};
using SealerKinds = testing::Types<X25519Sealer, sim::ModelledSealer>;
TYPED_TEST_SUITE(Seals, SealerKinds);

TYPED_TEST(Seals, OpenForWhomTheyAre) {
  const Buffer sealed = this->sealed(this->context_);
  EXPECT_EQ(this->opened(this->bob_, this->context_, sealed), this->plain_);
  EXPECT_TRUE(this->opened(this->carol_, this->context_, sealed).empty());
  EXPECT_TRUE(this->opened(this->alice_, this->context_, sealed).empty());
}

TYPED_TEST(Seals, AreNeverTheSameTwice) {
  EXPECT_NE(this->sealed(this->context_), this->sealed(this->context_));
}

TYPED_TEST(Seals, OpenInTheirMessageOnly) {
  const Buffer sealed = this->sealed(this->context_);
  const wire::GroupId other_group{1};
  for (const SealContext& other :
       {seal_context(other_group, this->in_), seal_context({}, {eighth(4), eighth(2), 77}),
        seal_context({}, {eighth(1), eighth(4), 77}), seal_context({}, {eighth(1), eighth(2), 78})})
    EXPECT_TRUE(this->opened(this->bob_, other, sealed).empty());
}

TYPED_TEST(Seals, WithstandChangesAndCuts) {
  const Buffer sealed = this->sealed(this->context_);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Buffer changed = sealed;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_TRUE(this->opened(this->bob_, this->context_, changed).empty()) << bit;
  }
  for (std::size_t length = kSealOverhead + 1; length < sealed.size(); ++length) {
    const Buffer cut(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_TRUE(this->opened(this->bob_, this->context_, cut).empty()) << length;
  }
}

TEST(X25519Seals, RefuseAKeyOfLowOrder) {
  SeededRng rng(4);
  X25519Sealer sealer(eighth(1), rng);
  Buffer sealed(kSealOverhead + 1);
  EXPECT_FALSE(sealer.seal(SealingKey{}, {}, Buffer{7}, sealed));
}

// --- Nodes that ask each other to call -----------------------------------------------------------

class SealedCandidates : public VillageTest {
 protected:
  // An address and port as a list of candidates has them.
  static bool shows_an_address(const Buffer& bytes) {
    const std::uint8_t address[] = {wire::kIpv4Candidate, 192, 0, 2};
    return std::search(bytes.begin(), bytes.end(), std::begin(address), std::end(address)) !=
           bytes.end();
  }
  static bool is_routed(const Buffer& bytes) {
    return bytes[1] == static_cast<std::uint8_t>(wire::LinkMessageType::kRouted);
  }
  // The first connect request with candidates, of 0 to 4.
  Buffer record_request() {
    Buffer recorded;
    village_.on_message = [&](const Village::Message& message) {
      if (!recorded.empty() || !is_routed(message.bytes)) return;
      const auto routed = wire::parse_routed(message.bytes);
      const auto request = wire::parse_request(routed->payload);
      if (request && !request->sealed.empty()) recorded = message.bytes;
    };
    village_[0].connect(village_.clock(), eighth(4));
    village_.settle();
    village_.on_message = nullptr;
    return recorded;
  }
  // A connect request with that sealed part, signed by the node itself.
  static Buffer signed_request(std::size_t source, std::uint64_t message_id, WallTime sent,
                               ConstBytes sealed) {
    wire::Request request;
    request.method = wire::Method::kConnect;
    request.request_id = message_id;
    request.wants = wire::kWantsOnDemand;
    request.sealed = sealed;
    wire::ByteWriter payload;
    wire::emit(payload, request);
    sim::ModelledSigner signer(eighth(source));
    wire::RoutedMessage message;
    message.source = eighth(source);
    message.destination = eighth(4);
    message.route.exact = true;
    message.ttl = 10;
    message.message_id = message_id;
    message.sent = sent;
    message.credential = signer.credential();
    message.payload = payload.view();
    wire::ByteWriter writer;
    wire::emit_signed(writer, message, {}, signer);
    return {writer.view().begin(), writer.view().end()};
  }
};

TEST_F(SealedCandidates, NoNodeOnTheWayReadsAnAddress) {
  std::size_t routed = 0;
  std::size_t told_to_neighbours = 0;
  village_.on_message = [&](const Village::Message& message) {
    if (is_routed(message.bytes)) {
      ++routed;
      EXPECT_FALSE(shows_an_address(message.bytes));
    } else if (shows_an_address(message.bytes)) {
      ++told_to_neighbours;
    }
  };
  grow(8);
  village_[0].connect(village_.clock(), eighth(4));
  village_.pass(kLong);
  EXPECT_NE(village_.link(0, 4), nullptr);
  EXPECT_GT(routed, 30U);
  EXPECT_GT(told_to_neighbours, 50U);  // hellos and lists over links: the search finds them
}

TEST_F(SealedCandidates, ASealedPartOpensInNoOtherMessage) {
  grow(8);
  const Buffer recorded = record_request();
  ASSERT_FALSE(recorded.empty());
  const auto routed = wire::parse_routed(recorded);
  const auto request = wire::parse_request(routed->payload);
  village_.pass(Parameters().on_demand_idle + kLong);
  ASSERT_EQ(village_.link(0, 4), nullptr);
  village_.called.clear();
  // By another node, and by the same one in another message.
  inject(3, 4, signed_request(2, routed->message_id, village_.clock().wall, request->sealed));
  inject(3, 4, signed_request(0, routed->message_id + 1, village_.clock().wall, request->sealed));
  EXPECT_EQ(dropped(4, Drop::kSealBroken), 2U);
  inject(3, 4, recorded);
  EXPECT_EQ(dropped(4, Drop::kOutdated), 1U);
  EXPECT_TRUE(village_.called.empty());
}

TEST_F(SealedCandidates, WhatWasChangedOrIsForAnotherOrNothingIsNotCalled) {
  grow(8);
  const auto part_for = [&](std::size_t node, std::uint64_t message_id, ConstBytes plain) {
    SeededRng rng(9);
    sim::ModelledSealer sealer(eighth(0), rng);
    Buffer sealed(plain.size() + kSealOverhead);
    EXPECT_TRUE(sealer.seal(sim::ModelledSealer::key_of(eighth(node)),
                            seal_context({}, {eighth(0), eighth(4), message_id}), plain, sealed));
    return sealed;
  };
  wire::ByteWriter candidates;
  candidates.candidates(village_[0].candidates());
  village_.called.clear();
  const auto send = [&](std::uint64_t message_id, ConstBytes sealed) {
    inject(3, 4, signed_request(0, message_id, village_.clock().wall, sealed));
  };
  Buffer changed = part_for(4, 1, candidates.view());
  changed.back() ^= 1;
  send(1, changed);
  send(2, part_for(5, 2, candidates.view()));
  EXPECT_EQ(dropped(4, Drop::kSealBroken), 2U);
  const Buffer lying_count{200, 4, 192, 0, 2, 1, 0, 1};
  send(3, part_for(4, 3, lying_count));
  EXPECT_EQ(dropped(4, Drop::kMalformed), 1U);
  EXPECT_TRUE(village_.called.empty());
  send(4, part_for(4, 4, candidates.view()));  // as it should be
  EXPECT_EQ(village_.called.size(), 1U);
}

TEST_F(SealedCandidates, AReplyThatDoesNotOpenIsNone) {
  grow(8);
  village_.on_message = [&](Village::Message& message) {
    if (!is_routed(message.bytes)) return;
    wire::RoutedMessage lie = *wire::parse_routed(message.bytes);
    auto reply = wire::parse_reply(lie.payload);
    if (lie.payload_type != wire::PayloadType::kReply || reply->sealed.empty() ||
        lie.source != eighth(4) || message.from != 4)
      return;
    Buffer changed(reply->sealed.begin(), reply->sealed.end());
    changed[kSealOverhead] ^= 1;
    reply->sealed = changed;
    wire::ByteWriter payload;
    wire::emit(payload, *reply);
    lie.payload = payload.view();
    sim::ModelledSigner signer(lie.source);
    wire::ByteWriter writer;
    wire::emit_signed(writer, lie, {}, signer);
    message.bytes.assign(writer.view().begin(), writer.view().end());
  };
  village_[0].connect(village_.clock(), eighth(4));
  village_.pass(Duration::seconds(1));
  EXPECT_GE(dropped(0, Drop::kSealBroken), 1U);
  EXPECT_EQ(village_.link(0, 4), nullptr);
  village_.on_message = nullptr;  // asked again, it is told the truth
  village_.pass(kLong);
  EXPECT_NE(village_.link(0, 4), nullptr);
}

TEST_F(SealedCandidates, NeighboursAreNamedToNeighboursOnly) {
  grow(8);
  village_[0].connect(village_.clock(), eighth(4));
  village_.settle();
  ASSERT_EQ(village_.link(0, 4)->ours, wire::kWantsOnDemand);
  std::size_t lists = 0;
  village_.on_message = [&](const Village::Message& message) {
    if (message.bytes[1] == static_cast<std::uint8_t>(wire::LinkMessageType::kStatus)) ++lists;
  };
  wire::ByteWriter writer;
  wire::emit(writer, wire::LinkMessage(wire::StatusRequest{}));
  inject(4, 0, {writer.view().begin(), writer.view().end()});
  EXPECT_EQ(lists, 0U);
  EXPECT_EQ(dropped(0, Drop::kUnexpected), 1U);
  inject(1, 0, {writer.view().begin(), writer.view().end()});
  EXPECT_EQ(lists, 1U);
}

}  // namespace
}  // namespace ringway::overlay
