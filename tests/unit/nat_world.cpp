#include "tests/unit/nat_world.hpp"

#include <array>

#include <gtest/gtest.h>

namespace ringway::nat::testing_support {

namespace {
net::Endpoint end_of(const PacketBytes& packet, Side side) {
  const Flow flow = parse_flow(packet);
  net::Endpoint end;
  end.address.family = flow.family;
  std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(address_at(flow.family, side)),
              address_bytes(flow.family), end.address.bytes.begin());
  end.port = side == Side::kSource ? flow.source_port : flow.destination_port;
  return end;
}
}  // namespace

net::Endpoint Passed::source() const {
  return end_of(bytes, Side::kSource);
}
net::Endpoint Passed::destination() const {
  return end_of(bytes, Side::kDestination);
}

Config NatWorld::small_config() {
  Config config;
  config.external_addresses = {address("203.0.113.1"), address("2001:db8:ffff::1")};
  config.first_port = 10000;
  config.last_port = 10999;
  config.block_ports = 50;
  config.max_mappings = 4096;
  config.max_ports_per_subscriber = 500;
  config.max_mappings_per_subscriber = 1000;
  config.max_subscribers = 16;
  config.gateway_addresses = {address("10.66.0.1"), address("fd66::1")};
  config.denied = default_denied();
  config.inner_prefixes = {*net::Prefix::parse("10.66.0.0/16"), *net::Prefix::parse("fd66::/16")};
  return config;
}

NatWorld::NatWorld(const Config& config, std::uint64_t seed) : rng_(seed), nat_(config, rng_) {}

Passed NatWorld::out(PeerId subscriber, PacketBytes packet) {
  Packet entry{packet.data(), static_cast<std::uint32_t>(packet.size()), subscriber};
  nat_.outbound({&entry, 1}, now_);
  return {entry.verdict, entry.drop, entry.subscriber, std::move(packet), entry.shard};
}

Passed NatWorld::in(PacketBytes packet, bool hairpin) {
  Packet entry{packet.data(), static_cast<std::uint32_t>(packet.size()), PeerId::none()};
  entry.hairpin = hairpin;
  nat_.inbound({&entry, 1}, now_);
  return {entry.verdict, entry.drop, entry.subscriber, std::move(packet), entry.shard};
}

Passed NatWorld::answer(const Passed& sent, PacketSpec spec) {
  const Flow flow = sent.flow();
  spec.protocol = flow.protocol;
  spec.source = sent.destination().address;
  spec.destination = sent.source().address;
  spec.source_port = sent.destination().port;
  spec.destination_port = sent.source().port;
  if (flow.is_icmp()) spec.icmp_type = flow.is_v4() ? net::kIcmpEchoReply : net::kIcmpv6EchoReply;
  // An echo reply's type is 0 over IPv4, which a spec takes for "a request".
  PacketBytes packet = build(spec);
  if (flow.is_icmp()) {
    packet[parse_flow(packet).transport_at] = spec.icmp_type;
    fix_checksums(packet);
  }
  return in(std::move(packet));
}

void NatWorld::pass(Duration time) {
  const Instant end = now_ + time;
  while (now_ < end) {
    now_ = std::min(end, now_ + Duration::seconds(1));
    nat_.tick(now_);
  }
}

std::vector<Emitted> NatWorld::outputs() {
  std::vector<Emitted> all;
  for (Output output; nat_.poll_output(output);) {
    all.push_back({output.to_internet,
                   output.subscriber,
                   {output.packet.begin(), output.packet.end()},
                   output.to_shard,
                   output.hairpin});
  }
  return all;
}

std::vector<BlockEvent> NatWorld::block_events() {
  std::vector<BlockEvent> all;
  for (BlockEvent event; nat_.poll_block_event(event);)
    all.push_back(event);
  return all;
}

std::vector<MappingRecord> NatWorld::mappings() const {
  std::vector<MappingRecord> all;
  std::array<MappingRecord, 7> page;
  std::uint32_t cursor = 0;
  do {
    std::size_t count = 0;
    cursor = nat_.list(cursor, page, count, now_);
    all.insert(all.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(count));
  } while (cursor != 0);
  return all;
}

PacketSpec udp_from(std::string_view inner, std::uint16_t port) {
  PacketSpec spec;
  spec.source = address(inner);
  spec.destination = address(spec.source.is_v4() ? "198.51.100.7" : "2001:db8:7::7");
  spec.source_port = port;
  return spec;
}
PacketSpec tcp_from(std::string_view inner, std::uint8_t flags, std::uint16_t port) {
  PacketSpec spec = udp_from(inner, port);
  spec.protocol = net::kProtocolTcp;
  spec.tcp_flags = flags;
  spec.destination_port = 443;
  return spec;
}
PacketSpec ping_from(std::string_view inner, std::uint16_t identifier) {
  PacketSpec spec = udp_from(inner, identifier);
  spec.protocol = spec.source.is_v4() ? net::kProtocolIcmp : net::kProtocolIcmpv6;
  return spec;
}

}  // namespace ringway::nat::testing_support
