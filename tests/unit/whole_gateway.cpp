#include "tests/unit/whole_gateway.hpp"

#include <algorithm>
#include <array>
#include <variant>

#include <gtest/gtest.h>

#include "base/net/ethernet.hpp"
#include "base/net/udp.hpp"
#include "dataplane/forwarding/encapsulate.hpp"
#include "tests/unit/counted_allocations.hpp"
#include "tests/unit/samples.hpp"

namespace ringway {
namespace {

using testing_support::kStart;
using Packet = WholeGateway::Packet;

constexpr ReceiverIndex kOurIndex{0x5a5a01};
constexpr net::MacAddress kOurMac{{2, 0, 0, 0, 0, 1}};
constexpr net::MacAddress kRouterMac{{2, 0, 0, 0, 0, 2}};
constexpr std::size_t kEthernetBytes = net::EthernetView::kHeaderBytes;
constexpr std::size_t kOuterBytes = net::Ip4View::kMinHeaderBytes + net::UdpView::kHeaderBytes;

io::MemoryPortConfig port_config(const char* name, const PortSizes& sizes = {}) {
  io::MemoryPortConfig config;
  config.name = name;
  config.buffer_count = sizes.frames;
  config.queue_slots = sizes.ring_slots;
  config.capabilities.mtu = 1500;
  return config;
}

WorkerOptions options() {
  WorkerOptions options;
  options.session_slot_bits = 8;
  options.max_peers = 16;
  options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
  return options;
}

Packet with_header(std::uint16_t type) {
  Packet frame(kEthernetBytes);
  net::emit_ethernet(frame.data(), kOurMac.bytes.data(), kRouterMac.bytes.data(), {}, type);
  return frame;
}

std::vector<Packet> taken(io::MemoryPort& port) {
  std::vector<Packet> packets;
  Slot slot;
  while (port.take_sent({&slot, 1}) == 1) {
    packets.emplace_back(slot.data, slot.data + slot.length);
    BufferPool::release(slot);
  }
  return packets;
}

}  // namespace

WholeGateway::WholeGateway(const PortSizes& lan_sizes, const PortSizes& wan_sizes)
    : lan(port_config("lan", lan_sizes)),
      wan(port_config("wan", wan_sizes)),
      kernel(port_config("kernel")),
      host(port_config("host")),
      now_(kStart),
      link_(std::array<io::Port*, 2>{&lan, &wan}, kernel,
            {{at.tunnel4, at.tunnel6, at.external4, at.external6}, kTunnelPort}),
      worker_(options(), host, link_.datagrams(), control_, rng_),
      subscriber_({0}, kOurIndex, kStart, rng_) {
  worker_.open_internet_side(link_.packets(), nat_config(), &link_);
  (void)link_.swap_table(routes(), now_);
  tell(command::AddPeer{std::make_unique<ringway::Peer>(PeerId{0}, true)});
  tell(command::PreferPath{{0}, {at.subscriber_outside, {}, 0}});
  tell(command::InstallSession{subscriber_.worker_session()});
  tell(command::SetAllowedIps{std::make_unique<const tunnel::AllowedIps>(
      std::vector<tunnel::AllowedIp>{{{at.subscriber4, 32}, {0}}, {{at.subscriber6, 128}, {0}}})});
  turn();
  (void)received();  // the keepalive that confirms the session
  allocations_ = 0;
}

nat::Config WholeGateway::nat_config() const {
  nat::Config config;
  config.external_addresses = {at.external4, at.external6};
  config.gateway_addresses = {at.inner4, at.inner6};
  config.inner_prefixes = {*net::Prefix::parse("198.51.100.128/25"),
                           *net::Prefix::parse("2001:db8:77::/64")};
  config.denied = nat::default_denied();
  config.max_mappings = 65'536;
  config.max_subscribers = 16;
  return config;
}

std::shared_ptr<const forwarding::ForwardingTable> WholeGateway::routes() const {
  using forwarding::NextHop;
  using forwarding::NextHopState;
  forwarding::ForwardingContent content;
  const NextHop lan_hop{NextHopState::kResolved, 0, 1500, kOurMac, kRouterMac, {}};
  const NextHop wan_hop{NextHopState::kResolved, 1, 1500, kOurMac, kRouterMac, {}};
  const auto to_lan = content.add_next_hop(lan_hop, {7, at.subscriber_outside.address});
  const auto to_wan = content.add_next_hop(wan_hop, {8, at.server4});
  content.add_route(*net::Prefix::parse("192.0.2.0/24"), to_lan);
  content.add_route(*net::Prefix::parse("0.0.0.0/0"), to_wan);
  content.add_route(*net::Prefix::parse("::/0"), to_wan);
  return std::make_shared<const forwarding::ForwardingTable>(std::move(content));
}

void WholeGateway::tell(Command&& command) {
  ASSERT_TRUE(control_.commands.try_push(std::move(command)));
}

void WholeGateway::turn(Duration after) {
  now_ = now_ + after;
  const std::uint64_t before = testing_support::allocations();
  worker_.run_once(now_);
  allocations_ += testing_support::allocations() - before;
  while (auto event = control_.events.try_pop()) {
    if (std::holds_alternative<event::ControlFrameReceived>(*event)) ++to_control_;
  }
  while (control_.handshakes.try_pop())
    ++to_control_;
  while (control_.for_kernel.try_pop())
    ++to_control_;
}

bool WholeGateway::offer_packet(ConstBytes packet) {
  Packet frame = with_header(packet[0] >> 4 == 6 ? net::kEtherTypeIpv6 : net::kEtherTypeIpv4);
  frame.insert(frame.end(), packet.begin(), packet.end());
  return offer_frame(wan, frame);
}

WholeGateway::Received WholeGateway::received() {
  Received all;
  for (io::MemoryPort* port : {&lan, &wan}) {
    for (Packet& frame : taken(*port)) {
      Packet packet(frame.begin() + kEthernetBytes, frame.end());
      const bool v4 = packet[0] >> 4 == 4;
      if (v4 && net::IpAddress::v4(&packet[net::Ip4View::kDestinationAt]) ==
                    at.subscriber_outside.address) {
        if (auto inner = subscriber_.opened({packet.begin() + kOuterBytes, packet.end()}))
          all.by_subscriber.push_back(std::move(*inner));
      } else {
        all.by_internet.push_back(std::move(packet));
      }
    }
  }
  all.by_host = taken(host);
  EXPECT_TRUE(taken(kernel).empty());
  return all;
}

std::uint64_t WholeGateway::drops(DropReason reason) const {
  return worker_.counters().drops.value(reason) + link_.drops().value(reason);
}

std::uint64_t WholeGateway::all_drops() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kDropReasonCount; ++i)
    sum += drops(static_cast<DropReason>(i));
  return sum;
}

void WholeGateway::expect_all_home() {
  for (io::MemoryPort* port : {&lan, &wan, &kernel, &host}) {
    EXPECT_EQ(port->pool().held(), 0U) << port->describe();
    EXPECT_EQ(port->pool().allocated(), port->pool().freed()) << port->describe();
  }
}

WholeGateway::Packet WholeGateway::sealed(ConstBytes packet) {
  const Packet message = subscriber_.sealed(packet);
  Packet frame = with_header(net::kEtherTypeIpv4);
  frame.resize(kEthernetBytes + kOuterBytes);
  frame.insert(frame.end(), message.begin(), message.end());
  forwarding::encapsulate(
      {at.subscriber_outside.address, at.subscriber_outside.port, {at.tunnel4, kTunnelPort}, 0},
      Bytes(frame).subspan(kEthernetBytes + kOuterBytes));
  return frame;
}

}  // namespace ringway
