// Any bytes as a packet that an ICMP error is about, and as an ICMP error to translate. The ICMP
// checksum is put right first, since nothing gets past it otherwise.
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "dataplane/nat/icmp_error.hpp"

namespace {

using namespace ringway;
using namespace ringway::nat;
using Packet = std::vector<std::uint8_t>;

constexpr std::uint8_t kAddress[16] = {203, 0, 113, 7, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

std::uint64_t message_sum(const Packet& packet, const Flow& flow) {
  const ConstBytes message = ConstBytes(packet).subspan(flow.transport_at);
  std::uint64_t pseudo = 0;
  if (!flow.is_v4()) {
    pseudo = net::pseudo_header_sum_v6(
        packet.data() + net::Ip6View::kSourceAt, packet.data() + net::Ip6View::kDestinationAt,
        net::kProtocolIcmpv6, static_cast<std::uint32_t>(message.size()));
  }
  return net::checksum_sum(message, pseudo);
}

void check_emitted(const Packet& packet, const Flow& flow) {
  std::array<std::uint8_t, kMaxIcmp6ErrorBytes> out{};
  const net::IpAddress from =
      flow.is_v4() ? net::IpAddress::v4(kAddress) : net::IpAddress::v6(kAddress);
  const std::size_t bytes = emit_icmp_error(packet, flow, Report::kTooBig, from, 1400, out);
  CHECK((bytes != 0) == may_report(packet, flow));
  if (bytes == 0) return;
  const Packet error(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(bytes));
  const Flow error_flow = parse_flow(error);
  CHECK(error_flow.kind == Kind::kIcmpError && !may_report(error, error_flow));
  CHECK(net::checksum_fold(message_sum(error, error_flow)) == 0xffff);
  Quote quote;
  Drop why{};
  if (!parse_icmp_error(error, error_flow, quote, why)) return;
  CHECK(quote.flow.source_port == flow.source_port);
  CHECK(quote.flow.destination_port == flow.destination_port);
}

void check_translated(Packet packet, const Flow& flow, Side side) {
  std::uint8_t* const field = packet.data() + flow.checksum_at;
  store_le(field, std::uint16_t{0});
  store_le(field, net::checksum_finish(message_sum(packet, flow)));
  Quote quote;
  Drop why{};
  if (!parse_icmp_error(packet, flow, quote, why)) {
    CHECK(why == Drop::kMalformed || why == Drop::kUnsupported || why == Drop::kBadChecksum);
    return;
  }
  CHECK(quote.at + quote.bytes <= packet.size());
  rewrite_icmp_error(packet.data(), flow, quote, side, kAddress, 4321);
  CHECK(net::checksum_fold(message_sum(packet, flow)) == 0xffff);
  Quote after;
  CHECK(parse_icmp_error(packet, flow, after, why));
  CHECK((side == Side::kSource ? after.flow.source_port : after.flow.destination_port) == 4321);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Packet packet(data, data + size);
  const Flow flow = parse_flow(packet);
  check_emitted(packet, flow);
  if (flow.kind != Kind::kIcmpError) return 0;
  check_translated(packet, flow, Side::kSource);
  check_translated(packet, flow, Side::kDestination);
  return 0;
}
