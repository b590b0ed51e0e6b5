#include "controlplane/nat_state/kept_state.hpp"

#include <gtest/gtest.h>

#include "controlplane/nat_state/state_keeper.hpp"

namespace ringway::control {
namespace {

net::Endpoint endpoint(const char* text) {
  return *net::Endpoint::parse(text);
}

KeptMoment moment() {
  return {WallTime::from_unix_ns(1'800'000'000'000'000'000), Instant::from_ns(5'000'000'000), {7}};
}

std::vector<KeptPeer> two_peers() {
  std::vector<KeptPeer> peers(2);
  peers[0].public_key[0] = 1;
  peers[0].endpoint = endpoint("192.0.2.9:4000");
  peers[0].had_session = true;
  peers[1].public_key[0] = 2;
  return peers;
}

// net::Endpoint::parse refuses port 0, which an identifier may be.
std::vector<KeptMapping> three_mappings() {
  auto mappings =
      std::vector<KeptMapping>{{0, 6, endpoint("10.77.0.2:40000"), endpoint("203.0.113.1:20001"),
                                Duration::seconds(3), Duration::seconds(7437)},
                               {1, 58, endpoint("[fd77::3]:9"), endpoint("[2001:db8::1]:20002"),
                                Duration{}, Duration::milliseconds(59'900)},
                               {0, 17, endpoint("10.77.0.2:53"), endpoint("203.0.113.1:20003"),
                                Duration::seconds(1), Duration::milliseconds(100)}};
  mappings[1].inner.port = 0;
  return mappings;
}

std::vector<std::uint8_t> emitted(const std::vector<KeptPeer>& peers,
                                  const std::vector<KeptMapping>& mappings) {
  KeptStateWriter writer;
  std::vector<std::uint8_t> file;
  const auto append = [&](ConstBytes bytes) {
    file.insert(file.end(), bytes.begin(), bytes.end());
  };
  append(writer.begin(moment(), peers));
  for (const KeptMapping& mapping : mappings)
    append(writer.add({mapping}));
  append(writer.end());
  return file;
}

TEST(KeptState, ReadsWhatItWrote) {
  const auto state = parse_kept_state(emitted(two_peers(), three_mappings()));
  ASSERT_TRUE(state) << state.error().text();
  EXPECT_EQ(state->moment.wall, moment().wall);
  EXPECT_EQ(state->moment.boot, moment().boot);
  EXPECT_EQ(state->moment.boot_id, moment().boot_id);
  EXPECT_EQ(state->peers, two_peers());
  EXPECT_EQ(state->mappings, three_mappings());
}

TEST(KeptState, KeepsNothingThatHasEnded) {
  auto mappings = three_mappings();
  mappings[1].expires_in = Duration{};
  EXPECT_EQ(parse_kept_state(emitted(two_peers(), mappings))->mappings.size(), 2U);
}

TEST(KeptState, RefusesEveryTornOrAlteredFile) {
  const auto whole = emitted(two_peers(), three_mappings());
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(parse_kept_state(ConstBytes(whole).first(length))) << length;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto altered = whole;
    altered[at] ^= 0x10;
    EXPECT_FALSE(parse_kept_state(altered)) << at;
  }
  auto longer = whole;
  longer.push_back(0);
  EXPECT_FALSE(parse_kept_state(longer));
}

// The checksum is right in these.
TEST(KeptState, RefusesValuesOutOfBounds) {
  const auto refused = [](auto&& change) {
    auto peers = two_peers();
    auto mappings = three_mappings();
    change(peers, mappings);
    return !parse_kept_state(emitted(peers, mappings));
  };
  EXPECT_FALSE(refused([](auto&, auto&) {}));
  EXPECT_TRUE(refused([](auto&, auto& m) { m[0].peer = 2; }));
  EXPECT_TRUE(refused([](auto&, auto& m) { m[0].protocol = 47; }));
  EXPECT_TRUE(refused([](auto&, auto& m) { m[0].protocol = 58; }));
  EXPECT_TRUE(refused([](auto&, auto& m) { m[1].protocol = 1; }));
  EXPECT_TRUE(refused([](auto&, auto& m) { m[0].external.port = 0; }));
  EXPECT_TRUE(refused([](auto&, auto& m) { m[0].inner.address.bytes[9] = 1; }));
  EXPECT_TRUE(refused([](auto& p, auto&) { p[0].endpoint.address.bytes[9] = 1; }));
  EXPECT_TRUE(refused([](auto& p, auto&) { p[1].endpoint.address.bytes[0] = 1; }));
}

TEST(KeptState, TimeAwayIsByTheBootClockWithinABootAndByTheCalendarOverOne) {
  const KeptMoment before = moment();
  KeptMoment now = before;
  now.boot = before.boot + Duration::seconds(9);
  now.wall = before.wall + Duration::seconds(-5000);  // somebody set the clock
  EXPECT_EQ(time_between(before, now), Duration::seconds(9));
  now.boot_id[0] ^= 1;
  EXPECT_EQ(time_between(before, now), std::nullopt);
  now.wall = before.wall + Duration::seconds(100);
  now.boot = Instant::from_ns(1);
  EXPECT_EQ(time_between(before, now), Duration::seconds(100));
}

TEST(KeptState, MappingsAgeWhileNobodyIsThere) {
  const auto state = *parse_kept_state(emitted(two_peers(), three_mappings()));
  const KeptOwner alice{{5}, {*net::Prefix::parse("10.77.0.2/32")}};
  const KeptOwner bob{{6}, {*net::Prefix::parse("fd77::3/128")}};
  const auto records = mappings_after(state, Duration::seconds(2), {{alice, bob}});
  ASSERT_EQ(records.size(), 2U);  // the third has ended
  EXPECT_EQ(records[0].subscriber, PeerId{5});
  EXPECT_EQ(records[0].idle, Duration::seconds(5));
  EXPECT_EQ(records[0].expires_in, Duration::seconds(7435));
  EXPECT_EQ(records[1].subscriber, PeerId{6});
  // A peer that is gone, or whose inner addresses are others now.
  EXPECT_EQ(mappings_after(state, Duration{}, {{alice, std::nullopt}}).size(), 2U);
  EXPECT_EQ(mappings_after(state, Duration{}, {{bob, bob}}).size(), 1U);
  EXPECT_TRUE(mappings_after(state, Duration::seconds(10'000), {{alice, bob}}).empty());
}

}  // namespace
}  // namespace ringway::control
