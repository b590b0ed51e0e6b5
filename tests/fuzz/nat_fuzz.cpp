// Any packets through a whole NAT, both ways, as time passes. The input is a list of records:
//   direction, subscriber, time step(1) length(1) packet(length)
// Every packet gets a verdict; what is forwarded is a sound packet of its family without the inner
// address, or for a subscriber; the books of mappings and fragments agree.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.hpp"
#include "dataplane/nat/flow.hpp"
#include "dataplane/nat/nat.hpp"

namespace {

using namespace ringway;
using namespace ringway::nat;

net::IpAddress address(const char* text) {
  return *net::IpAddress::parse(text);
}

Config config() {
  Config c;
  c.external_addresses = {address("203.0.113.1"), address("2001:db8:ffff::1")};
  c.first_port = 10'000;
  c.last_port = 10'015;
  c.block_ports = 4;
  c.max_mappings = 16;
  c.max_ports_per_subscriber = 8;
  c.max_mappings_per_subscriber = 8;
  c.max_subscribers = 4;
  c.tunnel_mtu = 100;
  c.internet_mtu = 120;
  c.gateway_addresses = {address("10.66.0.1"), address("fd66::1")};
  c.denied = default_denied();
  c.inner_prefixes = {*net::Prefix::parse("10.66.0.0/16"), *net::Prefix::parse("fd66::/16")};
  return c;
}

bool source_is(ConstBytes packet, const net::IpAddress& wanted) {
  const std::size_t at = address_at(wanted.family, Side::kSource);
  return packet.size() >= at + wanted.view().size() &&
         std::memcmp(packet.data() + at, wanted.bytes.data(), wanted.view().size()) == 0;
}

// What leaves has one of our addresses as its source, and nothing that leaves is malformed.
void check_outside(ConstBytes packet, const Config& c) {
  const Flow flow = parse_flow(packet);
  CHECK(flow.kind != Kind::kMalformed && flow.kind != Kind::kUnsupported);
  CHECK(source_is(packet, c.external_addresses[flow.is_v4() ? 0 : 1]));
}

void check_verdict(const Packet& packet, bool out, const Config& c) {
  const ConstBytes bytes(packet.data, packet.length);
  if (packet.verdict == Verdict::kForward && out) check_outside(bytes, c);
  if (packet.verdict == Verdict::kForward && !out) CHECK(packet.subscriber.value < 4);
  if (packet.verdict == Verdict::kHairpin) CHECK(out && packet.subscriber.value < 4);
  if (packet.verdict == Verdict::kNotOurs) CHECK(!out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Config settings = config();
  SeededRng rng(1);
  Nat nat(settings, rng);
  Instant now = Instant::from_ns(1'000'000'000'000);
  while (size >= 2) {
    const bool out = (data[0] & 1) != 0;
    const std::size_t length = data[1] < size - 2 ? data[1] : size - 2;
    std::vector<std::uint8_t> bytes(data + 2, data + 2 + length);
    bytes.reserve(1);
    now = now + Duration::milliseconds((data[0] >> 3) * 100);
    Packet packet{bytes.data(), static_cast<std::uint32_t>(length),
                  out ? PeerId{(data[0] >> 1) & 3U} : PeerId::none()};
    if (out) {
      nat.outbound({&packet, 1}, now);
    } else {
      nat.inbound({&packet, 1}, now);
    }
    check_verdict(packet, out, settings);
    for (Output output; nat.poll_output(output);) {
      CHECK(!output.packet.empty());
      if (output.to_internet) check_outside(output.packet, settings);
      if (!output.to_internet && !output.to_host) CHECK(output.subscriber.value < 4);
    }
    if ((data[0] & 0x80) != 0) nat.tick(now);
    const Counters counters = nat.counters();
    CHECK(counters.mappings <= settings.max_mappings);
    CHECK(counters.mappings_created >= counters.mappings + counters.mappings_expired);
    data += 2 + length;
    size -= 2 + length;
  }
  return 0;
}
