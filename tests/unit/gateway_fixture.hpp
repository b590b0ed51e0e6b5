// Gateways' workers between memory ports, each with a NAT of its own, for their tests: peers with
// sessions, a network outside, and packets that can be told apart.
#pragma once

#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "base/net/udp.hpp"
#include "base/rng.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/tunnel/receiver_index.hpp"
#include "dataplane/worker.hpp"
#include "tests/unit/peer_end.hpp"
#include "tests/unit/samples.hpp"

namespace ringway::testing_support {

using Packet = std::vector<std::uint8_t>;
using tunnel::DataLayout;

inline constexpr std::uint32_t kPeers = 2;
inline constexpr const char* kGateway = "198.51.100.254";
inline constexpr const char* kServer = "203.0.113.80";
inline constexpr const char* kExternal = "192.0.2.1";
inline const std::array<const char*, kPeers> kInner = {"198.51.100.1", "198.51.100.2"};

inline Packet ip_packet(const char* from, const char* to, std::uint8_t protocol,
                        const Packet& payload, std::uint8_t ttl = 64) {
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

inline Packet udp_packet(const char* from, std::uint16_t from_port, const char* to,
                         std::uint16_t to_port, const std::string& text, std::uint8_t ttl = 64) {
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

inline Packet echo_request(const char* from, const char* to) {
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
inline std::optional<Udp> read_udp(const Packet& packet) {
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

inline io::MemoryPortConfig port_config(const char* name) {
  io::MemoryPortConfig config;
  config.name = name;
  config.buffer_count = 256;
  config.capabilities.mtu = 1420;
  config.capabilities.max_train_bytes = 65507;
  return config;
}

// One worker and its ports.
struct GatewayNode {
  explicit GatewayNode(const WorkerOptions& options, Rng& rng)
      : worker(options, inner, outer, link, rng) {}

  io::MemoryPort inner{port_config("inner")};
  io::MemoryPort outer{port_config("outer")};
  io::MemoryPort internet{port_config("internet")};
  ControlLink link;
  Worker worker;
};

// Peer i belongs to worker i, as far as there are so many; the NAT's ports are cut into equal
// parts.
class GatewayFixture : public testing::Test {
 protected:
  explicit GatewayFixture(std::size_t workers) : mesh_(workers) {
    for (std::size_t i = 0; i < workers; ++i) {
      nodes_.push_back(std::make_unique<GatewayNode>(options(), rng_));
      GatewayNode& node = *nodes_[i];
      const WorkerId id = worker_id(i);
      node.worker.open_internet_side(node.internet, nat_config(i, workers));
      if (workers == 1) continue;
      mesh_.set_doorbell(id, node.link.worker_doorbell);
      for (io::MemoryPort* port : {&node.inner, &node.outer, &node.internet})
        mesh_.announce_pool(id, port->pool());
      node.worker.join(mesh_.end(id));
    }
    add_peers();
    turn();
    for (const auto& node : nodes_)
      (void)taken(node->outer);  // the keepalives that confirm new sessions
  }

  static WorkerId worker_id(std::size_t i) { return {static_cast<std::uint8_t>(i)}; }
  [[nodiscard]] std::size_t owner_of(std::uint32_t peer) const { return peer % nodes_.size(); }
  // Which worker's NAT has this port.
  [[nodiscard]] static std::size_t shard_of(std::uint16_t port, std::size_t workers) {
    return (port - kFirstPort) / (kPorts / workers);
  }

  static nat::Config nat_config(std::size_t shard, std::size_t shards) {
    nat::Config config;
    config.external_addresses = {address(kExternal)};
    config.gateway_addresses = {address(kGateway)};
    config.inner_prefixes = {*net::Prefix::parse("198.51.100.0/24")};
    config.max_mappings = 1024;
    config.max_subscribers = 16;
    const std::size_t ports = kPorts / shards;
    for (std::size_t i = 0; i < shards; ++i) {
      const auto first = static_cast<std::uint16_t>(kFirstPort + i * ports);
      const auto last = static_cast<std::uint16_t>(first + ports - 1);
      if (i == shard) {
        config.first_port = first;
        config.last_port = last;
      } else {
        config.other_shards.push_back({worker_id(i), first, last});
      }
    }
    return config;
  }
  static WorkerOptions options() {
    WorkerOptions options;
    options.session_slot_bits = kSlotBits;
    options.max_peers = 16;
    options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
    return options;
  }
  static net::Endpoint remote(std::uint32_t peer) {
    return {address("203.0.113.9"), static_cast<std::uint16_t>(4000 + peer)};
  }
  [[nodiscard]] ReceiverIndex local_index(std::uint32_t peer) const {
    return {static_cast<std::uint32_t>(owner_of(peer)) << kSlotBits | peer};
  }
  void tell(std::size_t worker, Command&& command) {
    ASSERT_TRUE(nodes_[worker]->link.commands.try_push(std::move(command)));
  }
  // As often as a packet can be handed over on its way.
  void turn() {
    for (std::size_t round = 0; round < nodes_.size(); ++round) {
      for (const auto& node : nodes_) {
        node->worker.run_once(kStart);
        while (node->link.events.try_pop()) {
        }
      }
    }
  }

  Packet sealed(std::uint32_t peer, const Packet& packet) { return ends_[peer].sealed(packet); }
  // `worker`: on whose queue it arrives.
  void send_from(std::uint32_t peer, const Packet& packet, std::size_t worker = 0) {
    ASSERT_TRUE(nodes_[worker]->outer.inject_copy(sealed(peer, packet), remote(peer)));
    turn();
  }
  void send_from_internet(const Packet& packet, std::size_t worker = 0) {
    ASSERT_TRUE(nodes_[worker]->internet.inject_copy(packet));
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
  // What a peer received since the last call; empties its worker's outer port.
  std::vector<Packet> received_by(std::uint32_t peer) {
    std::vector<net::Endpoint> to;
    std::vector<Packet> packets;
    const std::vector<Packet> messages = taken(nodes_[owner_of(peer)]->outer, &to);
    for (std::size_t i = 0; i < messages.size(); ++i) {
      EXPECT_EQ(to[i], remote(peer));
      if (auto packet = ends_[peer].opened(messages[i])) packets.push_back(std::move(*packet));
    }
    return packets;
  }
  [[nodiscard]] std::uint64_t drops(DropReason reason) const {
    std::uint64_t sum = 0;
    for (const auto& node : nodes_)
      sum += node->worker.counters().drops.value(reason);
    return sum;
  }
  void expect_all_home() {
    turn();  // lent buffers are on their way
    for (const auto& node : nodes_) {
      EXPECT_EQ(node->worker.held_packets(), 0U);
      for (io::MemoryPort* port : {&node->inner, &node->outer, &node->internet}) {
        EXPECT_EQ(port->pool().held(), 0U);
        EXPECT_EQ(port->pool().allocated(), port->pool().freed());
      }
    }
  }

  static constexpr unsigned kSlotBits = 8;
  static constexpr std::uint16_t kFirstPort = 10'000;
  static constexpr std::size_t kPorts = 20'000;

  SeededRng rng_{3};
  std::vector<std::unique_ptr<GatewayNode>> nodes_;
  HandoffMesh mesh_;
  std::deque<PeerEnd> ends_;  // by peer

 private:
  void add_peers() {
    std::vector<tunnel::AllowedIp> allowed;
    for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
      ends_.emplace_back(PeerId{peer}, local_index(peer), kStart, rng_);
      const std::size_t owner = owner_of(peer);
      for (std::size_t worker = 0; worker < nodes_.size(); ++worker) {
        if (worker != owner) tell(worker, command::SetPeerOwner{{peer}, worker_id(owner)});
      }
      tell(owner, command::AddPeer{std::make_unique<ringway::Peer>(PeerId{peer}, true)});
      tell(owner, command::PreferPath{{peer}, {remote(peer), {}, 0}});
      tell(owner, command::InstallSession{ends_[peer].worker_session()});
      allowed.push_back({{address(kInner[peer]), 32}, {peer}});
    }
    const auto allowed_ips = std::make_shared<const tunnel::AllowedIps>(allowed);
    for (std::size_t worker = 0; worker < nodes_.size(); ++worker)
      tell(worker, command::SetAllowedIps{allowed_ips});
  }
};

}  // namespace ringway::testing_support
