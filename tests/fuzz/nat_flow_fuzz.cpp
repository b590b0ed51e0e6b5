// Any bytes as a packet for the NAT: parsing, rewriting either end, clamping, cutting. What had
// right checksums has them afterwards.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "dataplane/nat/fragmenter.hpp"
#include "dataplane/nat/mss.hpp"
#include "dataplane/nat/rewrite.hpp"

namespace {

using namespace ringway;
using namespace ringway::nat;
using Packet = std::vector<std::uint8_t>;

constexpr std::uint8_t kAddress[16] = {203, 0, 113, 7, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

bool ip_checksum_right(const Packet& packet, const Flow& flow) {
  return !flow.is_v4() || net::Ip4View::parse(packet)->checksum_valid();
}

// Of a whole packet. The transport ends where the packet ends, or where UDP says.
bool transport_checksum_right(const Packet& packet, const Flow& flow) {
  const ConstBytes transport = ConstBytes(packet).subspan(flow.transport_at);
  const auto length = static_cast<std::uint32_t>(transport.size());
  const std::uint8_t* const source = packet.data() + address_at(flow.family, Side::kSource);
  const std::uint8_t* const destination =
      packet.data() + address_at(flow.family, Side::kDestination);
  std::uint64_t pseudo = 0;
  if (!flow.is_v4()) {
    pseudo = net::pseudo_header_sum_v6(source, destination, flow.protocol, length);
  } else if (flow.protocol != net::kProtocolIcmp) {
    pseudo = net::pseudo_header_sum_v4(source, destination, flow.protocol, length);
  }
  return net::checksum_fold(net::checksum_sum(transport, pseudo)) == 0xffff;
}

void check_rewrite(Packet packet, const Flow& flow, Side side) {
  const bool ip_right = ip_checksum_right(packet, flow);
  const bool whole = flow.kind == Kind::kPlain || flow.kind == Kind::kIcmpError;
  const bool none = flow.protocol == net::kProtocolUdp && flow.checksum_at != 0 &&
                    load_le<std::uint16_t>(packet.data() + flow.checksum_at) == 0;
  const bool transport_right = whole && !none && transport_checksum_right(packet, flow);
  rewrite(packet.data(), flow, side, kAddress, 4321);
  if (ttl(packet.data(), flow.family) > 1) decrement_ttl(packet.data(), flow.family);
  rewrite_identification(packet.data(), flow, 0xabcd);
  clamp_mss(packet, flow, 1280);
  if (ip_right) CHECK(ip_checksum_right(packet, flow));
  if (transport_right) CHECK(transport_checksum_right(packet, flow));
  const Flow after = parse_flow(packet);
  CHECK(after.kind == flow.kind && after.transport_at == flow.transport_at);
  if (!flow.has_ports()) return;
  CHECK((side == Side::kSource ? after.source_port : after.destination_port) == 4321);
}

void check_fragments(const Packet& packet, std::uint16_t mtu) {
  Fragmenter fragmenter;
  if (!fragmenter.start(packet, mtu)) return;
  const auto ip = net::Ip4View::parse(packet);
  std::size_t data = 0;
  for (std::uint32_t i = 0; i < fragmenter.count(); ++i) {
    Packet part(fragmenter.packet_bytes(i));
    CHECK(fragmenter.emit(i, part.data()) == part.size());
    const auto view = net::Ip4View::parse(part);
    CHECK(view && view->total_bytes() == part.size() && view->checksum_valid());
    CHECK(part.size() <= mtu || fragmenter.count() == 1);
    CHECK(view->fragment_offset_bytes() == ip->fragment_offset_bytes() + data);
    CHECK(i + 1 == fragmenter.count() || view->more_fragments());
    data += view->payload().size();
  }
  CHECK(data == ip->payload().size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Packet packet(data, data + size);
  const Flow flow = parse_flow(packet);
  if (flow.kind == Kind::kMalformed) return 0;
  check_fragments(packet, static_cast<std::uint16_t>(68 + size % 700));
  if (flow.kind == Kind::kUnsupported) return 0;
  CHECK(flow.transport_at < packet.size());
  check_rewrite(packet, flow, Side::kSource);
  check_rewrite(packet, flow, Side::kDestination);
  return 0;
}
