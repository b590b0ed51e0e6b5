// Random packets through a NAT and through a model of it: maps of what was sent, by the rules as
// one would say them. The model knows no ports in advance; it learns them from what comes out, and
// from then on every packet must be treated as the rules say.
#include <map>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/unit/nat_world.hpp"

namespace ringway::nat {
namespace {

using namespace testing_support;

constexpr std::uint32_t kSubscribers = 5;
constexpr std::uint32_t kRemotes = 12;
constexpr std::uint16_t kPorts = 30;

class ModelRun {
 public:
  ModelRun(std::uint64_t seed, Filtering filtering) : rng_(seed), world_(config(filtering), seed) {
    filtering_ = filtering;
  }

  void step() {
    switch (rng_.below(20)) {
      case 0:
        return pass();
      case 1:
        return rng_.below(40) == 0 ? remove() : pass();
      default:
        return rng_.below(2) == 0 ? outbound() : inbound();
    }
  }
  void check_mappings() {
    std::set<std::pair<std::uint8_t, net::Endpoint>> listed;
    for (const MappingRecord& record : world_.mappings()) {
      const auto found = by_outer_.find({record.protocol, record.external});
      ASSERT_NE(found, by_outer_.end());
      EXPECT_EQ(found->second.inner, record.inner);
      EXPECT_EQ(found->second.subscriber, record.subscriber);
      EXPECT_TRUE(listed.emplace(record.protocol, record.external).second);
    }
    for (const auto& [outer, mapping] : by_outer_) {
      // Within a second of its end it may be there or not.
      if (world_.now() < mapping.last_out + timeout(outer.first)) {
        EXPECT_TRUE(listed.contains(outer));
      }
    }
  }

 private:
  struct Mapping {
    PeerId subscriber;
    net::Endpoint inner;
    std::set<net::IpAddress> remotes;
    Instant last_out;
  };
  using Outer = std::pair<std::uint8_t, net::Endpoint>;
  using Inner = std::tuple<std::uint8_t, PeerId, net::Endpoint>;

  static Config config(Filtering filtering) {
    Config config = NatWorld::small_config();
    config.external_addresses.push_back(address("203.0.113.2"));
    config.filtering = filtering;
    config.udp_timeout = Duration::seconds(30);
    config.icmp_timeout = Duration::seconds(20);
    config.port_rest = Duration::seconds(15);
    return config;
  }
  Duration timeout(std::uint8_t protocol) const {
    return Duration::seconds(protocol == net::kProtocolUdp ? 30 : 20);
  }
  // The wheel may look up to two seconds late; nothing is known about a mapping then.
  bool surely_over(const Outer& outer, const Mapping& mapping) const {
    return world_.now() > mapping.last_out + timeout(outer.first) + Duration::seconds(3);
  }

  PacketSpec random_outbound(PeerId& subscriber) {
    subscriber = PeerId{static_cast<std::uint32_t>(rng_.below(kSubscribers))};
    const bool v4 = rng_.below(2) == 0;
    const auto inner = v4 ? "10.66.1." : "fd66::1:";
    const auto port = static_cast<std::uint16_t>(1 + rng_.below(kPorts));
    const std::string source = inner + std::to_string(subscriber.value + 1);
    PacketSpec spec = rng_.below(3) == 0 ? ping_from(source, port) : udp_from(source, port);
    const auto remote = std::to_string(1 + rng_.below(kRemotes));
    spec.destination = address((v4 ? "198.51.100." : "2001:db8:7::") + remote);
    spec.payload = random_bytes(rng_.below(40), rng_);
    spec.udp_checksum = !v4 || rng_.below(4) != 0;
    return spec;
  }

  void outbound() {
    PeerId subscriber;
    const PacketSpec spec = random_outbound(subscriber);
    const Passed sent = world_.out(subscriber, spec);
    const net::Endpoint source{spec.source, spec.source_port};
    const Inner inner{spec.protocol, subscriber, source};
    ASSERT_EQ(sent.verdict, Verdict::kForward);
    ASSERT_TRUE(checksums_right(sent.bytes));
    ASSERT_EQ(sent.destination().address, spec.destination);
    const Outer outer{spec.protocol, sent.source()};
    if (const auto known = by_inner_.find(inner); known != by_inner_.end()) {
      const Mapping& mapping = by_outer_.at(known->second);
      if (world_.now() < mapping.last_out + timeout(spec.protocol)) {
        ASSERT_EQ(outer, known->second) << "a mapping moved";
      }
      if (outer != known->second) end(known->second);
    }
    if (const auto taken = by_outer_.find(outer); taken != by_outer_.end()) {
      if (taken->second.inner != source || taken->second.subscriber != subscriber) {
        ASSERT_TRUE(surely_over(outer, taken->second)) << "a port with two mappings";
        by_inner_.erase({outer.first, taken->second.subscriber, taken->second.inner});
        by_outer_.erase(taken);
      } else if (surely_over(outer, taken->second)) {
        taken->second.remotes.clear();  // a new mapping at the same port
      }
    }
    Mapping& mapping = by_outer_[outer];
    mapping.subscriber = subscriber;
    mapping.inner = source;
    mapping.remotes.insert(spec.destination);
    mapping.last_out = world_.now();
    by_inner_[inner] = outer;
  }

  // An answer to a query that nobody here sent may be one to the host's own.
  static Verdict refused(const Outer& outer) {
    return outer.first == net::kProtocolUdp ? Verdict::kDrop : Verdict::kNotOurs;
  }

  void inbound() {
    if (by_outer_.empty()) return;
    auto chosen = by_outer_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(rng_.below(by_outer_.size())));
    const auto& [outer, mapping] = *chosen;
    const bool v4 = outer.second.address.is_v4();
    Passed to_answer;
    PacketSpec request = udp_from("10.66.0.9");
    request.protocol = outer.first;
    request.source = outer.second.address;
    request.source_port = outer.second.port;
    const auto remote = std::to_string(1 + rng_.below(kRemotes));
    request.destination = address((v4 ? "198.51.100." : "2001:db8:7::") + remote);
    to_answer.bytes = build(request);
    PacketSpec answer;
    answer.payload = random_bytes(rng_.below(40), rng_);
    const Passed back = world_.answer(to_answer, answer);
    const bool known = mapping.remotes.contains(request.destination);
    const bool open = filtering_ == Filtering::kEndpointIndependent;
    if (world_.now() < mapping.last_out + timeout(outer.first)) {
      ASSERT_EQ(back.verdict, known || open ? Verdict::kForward : refused(outer));
    } else if (surely_over(outer, mapping)) {
      ASSERT_EQ(back.verdict, refused(outer));
    }
    if (back.verdict != Verdict::kForward) return;
    ASSERT_TRUE(checksums_right(back.bytes));
    ASSERT_EQ(back.subscriber, mapping.subscriber);
    ASSERT_EQ(back.destination(), mapping.inner);
    ASSERT_EQ(back.source().address, request.destination);
  }

  void pass() {
    world_.pass(Duration::milliseconds(static_cast<std::int64_t>(rng_.below(3000))));
    (void)world_.block_events();
  }
  void remove() {
    const PeerId gone{static_cast<std::uint32_t>(rng_.below(kSubscribers))};
    world_.nat().remove_subscriber(gone, world_.now());
    for (auto at = by_outer_.begin(); at != by_outer_.end();) {
      const auto next = std::next(at);
      if (at->second.subscriber == gone) end(at->first);
      at = next;
    }
  }
  void end(const Outer outer) {
    const Mapping& mapping = by_outer_.at(outer);
    by_inner_.erase({outer.first, mapping.subscriber, mapping.inner});
    by_outer_.erase(outer);
  }

  SeededRng rng_;
  NatWorld world_;
  Filtering filtering_;
  std::map<Outer, Mapping> by_outer_;
  std::map<Inner, Outer> by_inner_;
};

void run_model(std::uint64_t seed, Filtering filtering, int steps) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ModelRun run(seed, filtering);
  for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) {
    run.step();
    if (i % 1000 == 0) run.check_mappings();
  }
}

TEST(NatModel, AgreesOnRandomPacketsWithAddressDependentFiltering) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    run_model(seed, Filtering::kAddressDependent, 15'000);
    if (HasFailure()) return;
  }
}

TEST(NatModel, AgreesOnRandomPacketsWithOpenFiltering) {
  for (std::uint64_t seed = 11; seed <= 15; ++seed) {
    run_model(seed, Filtering::kEndpointIndependent, 15'000);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace ringway::nat
