// A worker with an Internet side, its own NAT between: what goes which way. The translation itself
// has its own tests (nat_*_test.cpp).

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "base/net/udp.hpp"
#include "base/rng.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/worker.hpp"

namespace ringway {
namespace {

using Packet = std::vector<std::uint8_t>;
using tunnel::DataLayout;

constexpr Instant kStart = Instant::from_ns(1'000'000'000'000);
constexpr std::uint32_t kPeers = 2;
constexpr const char* kGateway = "198.51.100.254";
constexpr const char* kServer = "203.0.113.80";
constexpr const char* kExternal = "192.0.2.1";
const std::array<const char*, kPeers> kInner = {"198.51.100.1", "198.51.100.2"};

net::IpAddress address(const char* text) {
  return *net::IpAddress::parse(text);
}

Packet ip_packet(const char* from, const char* to, std::uint8_t protocol, const Packet& payload,
                 std::uint8_t ttl = 64) {
  Packet packet(net::Ip4View::kMinHeaderBytes);
  packet[0] = 0x45;
  store_be(&packet[net::Ip4View::kTotalLengthAt],
           static_cast<std::uint16_t>(packet.size() + payload.size()));
  packet[net::Ip4View::kTtlAt] = ttl;
  packet[net::Ip4View::kProtocolAt] = protocol;
  std::memcpy(&packet[net::Ip4View::kSourceAt], address(from).bytes.data(), 4);
  std::memcpy(&packet[net::Ip4View::kDestinationAt], address(to).bytes.data(), 4);
  store_le(&packet[net::Ip4View::kChecksumAt], net::checksum_finish(net::checksum_sum(packet)));
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

Packet udp_packet(const char* from, std::uint16_t from_port, const char* to, std::uint16_t to_port,
                  const std::string& text, std::uint8_t ttl = 64) {
  Packet udp(net::UdpView::kHeaderBytes);
  const auto bytes = static_cast<std::uint16_t>(udp.size() + text.size());
  net::emit_udp(udp.data(), from_port, to_port, bytes);
  udp.insert(udp.end(), text.begin(), text.end());
  const std::uint64_t pseudo = net::pseudo_header_sum_v4(
      address(from).bytes.data(), address(to).bytes.data(), net::kProtocolUdp, bytes);
  store_le(&udp[net::UdpView::kChecksumAt],
           net::checksum_finish_udp(net::checksum_sum(udp, pseudo)));
  return ip_packet(from, to, net::kProtocolUdp, udp, ttl);
}

Packet echo_request(const char* from, const char* to) {
  Packet icmp = {net::kIcmpEchoRequest, 0, 0, 0, 0, 7, 0, 1};
  store_le(&icmp[net::IcmpView::kChecksumAt], net::checksum_finish(net::checksum_sum(icmp)));
  return ip_packet(from, to, net::kProtocolIcmp, icmp);
}

struct Udp {
  std::string from;
  std::uint16_t from_port;
  std::string to;
  std::uint16_t to_port;
  std::string text;
};
// Checksums must be right.
std::optional<Udp> read_udp(const Packet& packet) {
  const auto ip = net::Ip4View::parse(packet);
  if (!ip || !ip->checksum_valid()) return std::nullopt;
  const auto udp = net::UdpView::parse(ip->payload());
  if (!udp || !udp->checksum_valid(ip->pseudo_header_sum())) return std::nullopt;
  return Udp{ip->source_address().to_string(),
             udp->source_port(),
             ip->destination_address().to_string(),
             udp->destination_port(),
             {udp->payload().begin(), udp->payload().end()}};
}

io::MemoryPortConfig port_config(const char* name) {
  io::MemoryPortConfig config;
  config.name = name;
  config.buffer_count = 256;
  config.capabilities.mtu = 1420;
  config.capabilities.max_train_bytes = 65507;
  return config;
}

class GatewayWorker : public testing::Test {
 protected:
  GatewayWorker() {
    worker_.open_internet_side(internet_, nat_config());
    std::vector<tunnel::AllowedIp> allowed;
    for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
      rng_.fill(keys_[peer].span());
      bulk_[peer] = std::make_unique<tunnel::BulkKey>(tunnel::Suite::kAes256Gcm, keys_[peer]);
      tell(command::AddPeer{std::make_unique<ringway::Peer>(PeerId{peer}, true)});
      tell(command::PreferPath{{peer}, {remote(peer), {}, 0}});
      tell(command::InstallSession{std::make_unique<tunnel::Session>(session_keys(peer))});
      allowed.push_back({{address(kInner[peer]), 32}, {peer}});
    }
    tell(command::SetAllowedIps{std::make_unique<const tunnel::AllowedIps>(allowed)});
    turn();
    (void)taken(outer_);  // the keepalives that confirm new sessions
  }

  static nat::Config nat_config() {
    nat::Config config;
    config.external_addresses = {address(kExternal)};
    config.gateway_addresses = {address(kGateway)};
    config.inner_prefixes = {*net::Prefix::parse("198.51.100.0/24")};
    config.max_mappings = 1024;
    config.max_subscribers = 16;
    return config;
  }
  static WorkerOptions options() {
    WorkerOptions options;
    options.session_slot_bits = 8;
    options.max_peers = 16;
    options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
    return options;
  }
  static net::Endpoint remote(std::uint32_t peer) {
    return {address("203.0.113.9"), static_cast<std::uint16_t>(4000 + peer)};
  }
  tunnel::SessionKeys session_keys(std::uint32_t peer) const {
    tunnel::SessionKeys keys;
    keys.peer = {peer};
    keys.suite = tunnel::Suite::kAes256Gcm;
    keys.initiator = true;
    keys.local_index = {peer};
    keys.remote_index = {1000 + peer};
    keys.send_key = keys_[peer];
    keys.receive_key = keys_[peer];
    keys.created = kStart;
    return keys;
  }

  void tell(Command&& command) { ASSERT_TRUE(link_.commands.try_push(std::move(command))); }
  void turn() {
    worker_.run_once(kStart);
    while (link_.events.try_pop()) {
    }
  }

  // As a peer's end of the tunnel seals it.
  Packet sealed(std::uint32_t peer, const Packet& packet) {
    Packet message(DataLayout::kCiphertext + packet.size() + tunnel::kTagBytes);
    tunnel::emit_message_header(message.data(), tunnel::MessageType::kData,
                                tunnel::Suite::kAes256Gcm);
    store_le(message.data() + DataLayout::kReceiver, peer);
    store_le(message.data() + DataLayout::kCounter, counter_[peer]);
    std::memcpy(message.data() + DataLayout::kCiphertext, packet.data(), packet.size());
    tunnel::AeadJob job{bulk_[peer].get(), message.data() + DataLayout::kCiphertext,
                        static_cast<std::uint32_t>(packet.size()), false, counter_[peer]++};
    crypto_.seal({&job, 1});
    return message;
  }
  void send_from(std::uint32_t peer, const Packet& packet) {
    ASSERT_TRUE(outer_.inject_copy(sealed(peer, packet), remote(peer)));
    turn();
  }
  std::vector<std::unique_ptr<BlockEventBatch>> reported_blocks() {
    std::vector<std::unique_ptr<BlockEventBatch>> batches;
    while (auto event = link_.events.try_pop()) {
      if (auto* changed = std::get_if<event::BlocksChanged>(&*event)) {
        batches.push_back(std::move(changed->batch));
      }
    }
    return batches;
  }
  void send_from_internet(const Packet& packet) {
    ASSERT_TRUE(internet_.inject_copy(packet));
    turn();
  }

  static std::vector<Packet> taken(io::MemoryPort& port, std::vector<net::Endpoint>* to = nullptr) {
    std::vector<Packet> packets;
    Slot slot;
    while (port.take_sent({&slot, 1}) == 1) {
      const std::uint32_t stride =
          slot.train == TrainKind::kDatagrams ? slot.segment_bytes : slot.length;
      for (std::uint32_t at = 0; at < slot.length; at += stride) {
        packets.emplace_back(slot.data + at, slot.data + std::min(at + stride, slot.length));
        if (to != nullptr) to->push_back(slot.remote);
      }
      BufferPool::release(slot);
    }
    return packets;
  }
  // What a peer received since the last call; empties the outer port.
  std::vector<Packet> received_by(std::uint32_t peer) {
    std::vector<net::Endpoint> to;
    std::vector<Packet> packets;
    const std::vector<Packet> messages = taken(outer_, &to);
    for (std::size_t i = 0; i < messages.size(); ++i) {
      Packet message = messages[i];
      EXPECT_EQ(to[i], remote(peer));
      const auto bytes = static_cast<std::uint32_t>(message.size() - DataLayout::kOverhead);
      tunnel::AeadJob job{bulk_[peer].get(), message.data() + DataLayout::kCiphertext, bytes, false,
                          load_le<std::uint64_t>(message.data() + DataLayout::kCounter)};
      crypto_.open({&job, 1});
      EXPECT_TRUE(job.ok);
      if (bytes == 0) continue;  // a keepalive
      const std::uint16_t length = load_be<std::uint16_t>(job.text + net::Ip4View::kTotalLengthAt);
      packets.emplace_back(job.text, job.text + length);
    }
    return packets;
  }
  std::uint64_t drops(DropReason reason) const { return worker_.counters().drops.value(reason); }
  void expect_all_home() {
    for (io::MemoryPort* port : {&inner_, &outer_, &internet_}) {
      EXPECT_EQ(port->pool().held(), 0U);
      EXPECT_EQ(port->pool().allocated(), port->pool().freed());
    }
  }

  SeededRng rng_{3};
  io::MemoryPort inner_{port_config("inner")};
  io::MemoryPort outer_{port_config("outer")};
  io::MemoryPort internet_{port_config("internet")};
  ControlLink link_;
  Worker worker_{options(), inner_, outer_, link_, rng_};
  tunnel::CryptoBatch crypto_{tunnel::CryptoBatch::Selection::kOpenSslOnly};
  std::array<tunnel::PrivateKey, kPeers> keys_;
  std::array<std::unique_ptr<tunnel::BulkKey>, kPeers> bulk_;
  std::array<std::uint64_t, kPeers> counter_{};
};

TEST_F(GatewayWorker, PacketsReachTheInternetTranslatedAndAnswersComeBack) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  const auto out = taken(internet_);
  ASSERT_EQ(out.size(), 1U);
  const auto query = read_udp(out[0]);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->from, kExternal);
  EXPECT_EQ(query->to, kServer);
  EXPECT_EQ(query->to_port, 53);
  EXPECT_EQ(query->text, "query");
  EXPECT_EQ(out[0][net::Ip4View::kTtlAt], 63);

  send_from_internet(udp_packet(kServer, 53, kExternal, query->from_port, "answer"));
  const auto back = received_by(0);
  ASSERT_EQ(back.size(), 1U);
  const auto answer = read_udp(back[0]);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->from, kServer);
  EXPECT_EQ(answer->to, kInner[0]);
  EXPECT_EQ(answer->to_port, 5000);
  EXPECT_EQ(answer->text, "answer");
  expect_all_home();
}

TEST_F(GatewayWorker, TwoSubscribersWithOnePortHaveTwoOutside) {
  for (std::uint32_t peer = 0; peer < kPeers; ++peer)
    send_from(peer, udp_packet(kInner[peer], 5000, kServer, 53, "query"));
  const auto out = taken(internet_);
  ASSERT_EQ(out.size(), 2U);
  const auto first = read_udp(out[0]);
  const auto second = read_udp(out[1]);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->from_port, second->from_port);
  send_from_internet(udp_packet(kServer, 53, kExternal, second->from_port, "for the second"));
  ASSERT_EQ(received_by(1).size(), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, StrangersOnTheInternetReachNobody) {
  send_from_internet(udp_packet(kServer, 53, kExternal, 20000, "who is there"));
  send_from_internet(udp_packet(kServer, 53, kInner[0], 5000, "past the translation"));
  send_from_internet({1, 2, 3});
  EXPECT_TRUE(taken(outer_).empty());
  EXPECT_TRUE(taken(inner_).empty());
  EXPECT_EQ(drops(DropReason::kNatMalformed), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, PingAndDnsReachTheHostAndNothingElse) {
  send_from(0, echo_request(kInner[0], kGateway));
  send_from(0, udp_packet(kInner[0], 5000, kGateway, 53, "query"));
  send_from(0, echo_request(kInner[0], kExternal));
  EXPECT_EQ(taken(inner_).size(), 3U);
  send_from(0, udp_packet(kInner[0], 5000, kGateway, 22, "ssh"));
  send_from(0, udp_packet(kInner[0], 5000, kExternal, 51820, "the tunnel's own port"));
  send_from(0, ip_packet(kInner[0], kGateway, 47, Packet(20)));
  EXPECT_TRUE(taken(inner_).empty());
  EXPECT_EQ(drops(DropReason::kHostDenied), 3U);
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, TheHostsAnswersReachTheSubscriber) {
  ASSERT_TRUE(inner_.inject_copy(udp_packet(kGateway, 53, kInner[0], 5000, "answer")));
  turn();
  ASSERT_EQ(received_by(0).size(), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, SubscribersReachEachOtherUntranslated) {
  const Packet packet = udp_packet(kInner[0], 5000, kInner[1], 6000, "hello");
  send_from(0, packet);
  const auto back = received_by(1);
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0], packet);
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, InnerAddressesOfNobodyGoNowhere) {
  send_from(0, udp_packet(kInner[0], 5000, "198.51.100.77", 6000, "hello"));
  EXPECT_TRUE(taken(internet_).empty());
  EXPECT_TRUE(taken(outer_).empty());
  EXPECT_EQ(drops(DropReason::kNoRoute), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, SubscribersPunchHolesForEachOtherByTheirExternalAddresses) {
  std::array<std::uint16_t, kPeers> outside{};
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    send_from(peer, udp_packet(kInner[peer], 6000, kServer, 3478, "who am I"));
    outside[peer] = read_udp(taken(internet_).at(0))->from_port;
  }
  // The first knock is filtered, and opens the way for the second.
  send_from(0, udp_packet(kInner[0], 6000, kExternal, outside[1], "knock"));
  EXPECT_TRUE(received_by(1).empty());
  send_from(1, udp_packet(kInner[1], 6000, kExternal, outside[0], "hello"));
  const auto back = received_by(0);
  ASSERT_EQ(back.size(), 1U);
  const auto hello = read_udp(back[0]);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->from, kExternal);
  EXPECT_EQ(hello->from_port, outside[1]);
  EXPECT_EQ(hello->to, kInner[0]);
  EXPECT_EQ(hello->to_port, 6000);
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, SendersWhoseTtlRanOutAreToldByTheGateway) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 33434, "trace", 1));
  EXPECT_TRUE(taken(internet_).empty());
  const auto back = received_by(0);
  ASSERT_EQ(back.size(), 1U);
  const auto ip = net::Ip4View::parse(back[0]);
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->source_address().to_string(), kGateway);
  EXPECT_EQ(ip->protocol(), net::kProtocolIcmp);
  EXPECT_EQ(ip->payload()[0], net::kIcmpTimeExceeded);
  expect_all_home();
}

TEST_F(GatewayWorker, ASubscriberThatIsRemovedLosesItsMappings) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  const auto query = read_udp(taken(internet_).at(0));
  ASSERT_TRUE(query);
  tell(command::RemovePeer{{0}});
  turn();
  send_from_internet(udp_packet(kServer, 53, kExternal, query->from_port, "answer"));
  EXPECT_TRUE(taken(outer_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, SurroundingsAreExchangedWhileItRuns) {
  auto surroundings = std::make_unique<Surroundings>();
  surroundings->external_addresses = {address("192.0.2.9")};
  surroundings->host = PrefixSet(host_prefixes({address("192.0.2.9"), address(kGateway)}));
  surroundings->inner =
      PrefixSet({*net::Prefix::parse("198.51.100.0/24"), *net::Prefix::parse("203.0.113.128/25")});
  tell(command::SetSurroundings{std::move(surroundings)});
  turn();
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  const auto query = read_udp(taken(internet_).at(0));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->from, "192.0.2.9");
  // What belongs to a subscriber's network, and is nobody's, goes nowhere.
  send_from(0, udp_packet(kInner[0], 5000, "203.0.113.200", 53, "query"));
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, BlocksAreReportedInTheTurnThatGaveThem) {
  for (std::size_t i = 0; i < kBlockEventBatches; ++i)
    tell(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
  ASSERT_TRUE(
      outer_.inject_copy(sealed(0, udp_packet(kInner[0], 5000, kServer, 53, "q")), remote(0)));
  worker_.run_once(kStart);
  const auto batches = reported_blocks();
  ASSERT_EQ(batches.size(), 1U);
  ASSERT_EQ(batches[0]->count, 1U);
  EXPECT_EQ(batches[0]->at, kStart);
  EXPECT_EQ(batches[0]->lost, 0U);
  const nat::BlockEvent& given = batches[0]->events[0];
  EXPECT_TRUE(given.allocated);
  EXPECT_EQ(given.subscriber, PeerId{0});
  EXPECT_EQ(given.protocol, net::kProtocolUdp);
  EXPECT_EQ(given.external_address, address(kExternal));
}

TEST_F(GatewayWorker, BlocksOfARemovedSubscriberAreReportedBeforeItsIdIsFree) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  for (std::size_t i = 0; i < kBlockEventBatches; ++i)
    tell(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
  tell(command::RemovePeer{{0}});
  worker_.run_once(kStart);
  bool gone = false;
  std::size_t returned = 0;
  while (auto event = link_.events.try_pop()) {
    if (std::holds_alternative<event::PeerRemoved>(*event)) gone = true;
    const auto* changed = std::get_if<event::BlocksChanged>(&*event);
    if (changed == nullptr) continue;
    EXPECT_FALSE(gone);
    for (std::size_t i = 0; i < changed->batch->count; ++i)
      returned += changed->batch->events[i].allocated ? 0U : 1U;
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(returned, 1U);
}

TEST_F(GatewayWorker, BlocksThatNobodyHasRoomForAreCounted) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  tell(command::RemovePeer{{0}});
  turn();
  tell(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
  send_from(1, udp_packet(kInner[1], 5000, kServer, 53, "query"));
  EXPECT_EQ(worker_.internet_side()->nat.counters().block_events_lost, 2U);
}

TEST_F(GatewayWorker, MappingsAreListedInPieces) {
  constexpr std::uint16_t kFlows = 700;  // more than a page holds
  for (std::uint16_t i = 0; i < kFlows; ++i) {
    send_from(0, udp_packet(kInner[0], static_cast<std::uint16_t>(1000 + i), kServer, 53, "q"));
    (void)taken(internet_);
  }
  std::set<std::uint16_t> ports;
  std::uint32_t cursor = 0;
  unsigned pages = 0;
  do {
    auto page = std::make_unique<MappingPage>();
    page->cursor = cursor;
    tell(command::ListMappings{std::move(page)});
    worker_.run_once(kStart);
    auto event = link_.events.try_pop();
    ASSERT_TRUE(event && std::holds_alternative<event::MappingsListed>(*event));
    const MappingPage& listed = *std::get<event::MappingsListed>(*event).page;
    EXPECT_EQ(listed.at, kStart);
    for (std::size_t i = 0; i < listed.count; ++i)
      ports.insert(listed.records[i].inner.port);
    cursor = listed.cursor;
    ++pages;
  } while (cursor != 0);
  EXPECT_EQ(ports.size(), kFlows);
  EXPECT_EQ(pages, 2U);
}

TEST_F(GatewayWorker, BurstsOfManyFlowsBothWaysLoseNothing) {
  std::vector<std::uint16_t> external;
  for (std::uint16_t i = 0; i < 200; ++i) {
    send_from(i % 2, udp_packet(kInner[i % 2], static_cast<std::uint16_t>(3000 + i), kServer, 53,
                                "query " + std::to_string(i)));
  }
  const auto out = taken(internet_);
  ASSERT_EQ(out.size(), 200U);
  for (const Packet& packet : out)
    external.push_back(read_udp(packet)->from_port);
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_TRUE(internet_.inject_copy(
        udp_packet(kServer, 53, kExternal, external[i], "answer " + std::to_string(i))));
  }
  for (int i = 0; i < 8; ++i)
    turn();
  EXPECT_EQ(taken(outer_).size(), 200U);
  expect_all_home();
}

}  // namespace
}  // namespace ringway
