#include "bench/pipeline_traffic.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "base/net/checksum.hpp"
#include "base/net/ethernet.hpp"
#include "base/net/ip4.hpp"
#include "base/net/tcp.hpp"
#include "base/net/udp.hpp"
#include "bench/mixed.hpp"
#include "dataplane/drop_reasons.hpp"
#include "dataplane/forwarding/encapsulate.hpp"
#include "dataplane/nat_output.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway::bench {
namespace {

using net::Ip4View;
using net::TcpView;
using tunnel::DataLayout;

constexpr std::uint32_t kIpBytes = Ip4View::kMinHeaderBytes;
constexpr std::uint32_t kHeaderBytes = kIpBytes + TcpView::kMinHeaderBytes;
constexpr std::uint32_t kOurAddress = 0xc000'0201;  // 192.0.2.1
constexpr std::uint32_t kFirstPeerAddress =
    0xc612'0000;  // 198.18.0.0/15: for benchmarks (RFC 2544)
constexpr std::uint32_t kFirstRemoteIndex = 0x5200'0000;
constexpr std::uint32_t kPeersAnAddress = 32768;

// All over the session table, as the random ones of a node are; an odd factor gives each peer a
// slot of its own. The worker's bits are where a node has them.
ReceiverIndex local_index(std::uint32_t peer, std::uint32_t worker) {
  const unsigned slot_bits = WorkerOptions{}.session_slot_bits;
  const std::uint32_t workers = std::uint32_t{kMaxWorkers - 1} << slot_bits;
  return {((peer * 0x9e37'79b1) & ~workers) | worker << slot_bits};
}

// The packet's number, then words that follow from it. A packet without payload has its number in
// the header.
void write_payload(std::uint64_t number, std::uint8_t* to, std::uint32_t bytes) {
  if (bytes == 0) return;
  store_le(to, number);
  std::uint32_t at = sizeof number;
  for (; at + 8 <= bytes; at += 8)
    store_le(to + at, mixed(number << 16 | at));
  for (; at < bytes; ++at)
    to[at] = static_cast<std::uint8_t>(at);
}

struct Ends {
  std::uint32_t source;
  std::uint32_t destination;
  std::uint16_t source_port = 5001;
  std::uint16_t destination_port = 5002;
  std::uint8_t ttl = 64;
  bool dont_fragment = false;  // as TCP has it: then the identification says nothing and stays
  std::uint8_t tcp_flags = net::kTcpAck;
};

// Both headers, the TCP checksum left at what the pseudo-header adds.
void write_headers(std::uint64_t number, std::uint32_t payload_bytes, std::uint32_t total_bytes,
                   const Ends& ends, std::uint8_t* ip) {
  std::memset(ip, 0, kHeaderBytes);
  ip[0] = 0x45;
  store_be(ip + Ip4View::kTotalLengthAt, static_cast<std::uint16_t>(total_bytes));
  store_be(ip + Ip4View::kIdentificationAt, static_cast<std::uint16_t>(number));
  if (ends.dont_fragment) store_be(ip + Ip4View::kFragmentAt, std::uint16_t{0x4000});
  ip[Ip4View::kTtlAt] = ends.ttl;
  ip[Ip4View::kProtocolAt] = net::kProtocolTcp;
  store_be(ip + Ip4View::kSourceAt, ends.source);
  store_be(ip + Ip4View::kDestinationAt, ends.destination);
  store_le(ip + Ip4View::kChecksumAt,
           net::checksum_finish(net::checksum_sum({ip, Ip4View::kMinHeaderBytes})));
  std::uint8_t* const tcp = ip + Ip4View::kMinHeaderBytes;
  store_be(tcp, ends.source_port);
  store_be(tcp + 2, ends.destination_port);
  store_be(tcp + TcpView::kSequenceAt,
           static_cast<std::uint32_t>(payload_bytes == 0 ? number : number * payload_bytes));
  tcp[TcpView::kDataOffsetAt] = 0x50;
  tcp[TcpView::kFlagsAt] = ends.tcp_flags;
  store_be(tcp + TcpView::kWindowAt, std::uint16_t{0xffff});
  const std::uint64_t sum =
      net::pseudo_header_sum_v4(ip + Ip4View::kSourceAt, ip + Ip4View::kDestinationAt,
                                net::kProtocolTcp, total_bytes - kIpBytes);
  store_le(tcp + TcpView::kChecksumAt, net::checksum_fold(sum));
}

constexpr std::uint8_t kSentTtl = 64;

// Of what stands there, the checksum field with the pseudo-header's sum included, where
// write_headers left it.
std::uint64_t tcp_sum(const std::uint8_t* ip, std::uint32_t total_bytes) {
  return net::checksum_sum({ip + kIpBytes, total_bytes - kIpBytes});
}
void set_tcp_checksum(std::uint8_t* ip, std::uint16_t checksum) {
  store_le(ip + kIpBytes + TcpView::kChecksumAt, checksum);
}

std::uint32_t buffer_bytes_for(const TrafficShape& shape) {
  return kDefaultHeadroom + shape.input_header_bytes() +
         shape.train_segments * shape.longest_message();
}

// A gateway with one Ethernet port, one address and one router.
constexpr std::uint32_t kTunnelAddress = 0xc000'02fe;  // 192.0.2.254
constexpr std::uint16_t kTunnelPort = 51820;
constexpr net::MacAddress kOwnMac{{2, 0, 0, 0, 0, 1}};
constexpr net::MacAddress kRouterMac{{2, 0, 0, 0, 0, 2}};
constexpr std::uint32_t kEthernetBytes = net::EthernetView::kHeaderBytes;
constexpr std::uint32_t kSealedHeaderBytes = kEthernetBytes + kIpBytes + net::UdpView::kHeaderBytes;

net::IpAddress address_v4(std::uint32_t number) {
  std::array<std::uint8_t, 4> bytes;
  store_be(bytes.data(), number);
  return net::IpAddress::v4(bytes.data());
}

tl::unexpected<Error> wrong(const std::string& what) {
  return failure("wrong result: " + what);
}

}  // namespace

std::uint32_t TrafficShape::inner_mtu() const {
  return std::max(sizes.longest(), kInnerMtu);
}
std::uint32_t TrafficShape::text_bytes(std::uint32_t packet_bytes) const {
  return std::min((packet_bytes + 15) / 16 * 16, inner_mtu());
}
std::uint32_t TrafficShape::message_bytes(std::uint32_t packet_bytes) const {
  return text_bytes(packet_bytes) + static_cast<std::uint32_t>(DataLayout::kOverhead);
}
std::uint32_t TrafficShape::input_header_bytes() const {
  if (!is_gateway(path)) return 0;
  return seals(path) ? kEthernetBytes : kSealedHeaderBytes;
}
std::uint32_t TrafficShape::output_header_bytes() const {
  if (!is_gateway(path)) return 0;
  return seals(path) ? kSealedHeaderBytes : kEthernetBytes;
}
std::uint32_t TrafficShape::longest_train(std::uint32_t packet_bytes) {
  const TrafficShape shape{{}, {}, PacketSizes(packet_bytes), 1, 1, 1};
  return std::min(kMaxDatagramTrainSegments, kMaxDatagramTrainBytes / shape.longest_message());
}

PipelineTraffic::PipelineTraffic(const TrafficShape& shape)
    : shape_(shape),
      flows_(translates(shape.path)
                 ? std::make_unique<GatewayFlows>(
                       FlowCounts{shape.flows, shape.peers, shape.packets, shape.new_flow_share},
                       shape.worker, shape.workers)
                 : nullptr),
      pool_((shape.packets + shape.train_segments - 1) / shape.train_segments,
            buffer_bytes_for(shape)),
      rng_(1) {
  CHECK(shape.peers <= kMaxPeers);
  CHECK(takes_trains(shape.path) || shape.train_segments == 1);
  CHECK(shape.sizes.shares().size() == 1 || shape.train_segments == 1);
  for (std::uint32_t peer = 0; peer < shape.peers; ++peer) {
    rng_.fill(keys_.emplace_back().span());
    far_ends_.push_back({std::make_unique<tunnel::BulkKey>(shape.suite, keys_.back())});
    std::array<std::uint8_t, 4> address;
    store_be(address.data(), 0xcb00'7101 + peer / kPeersAnAddress);  // 203.0.113.1 and on
    endpoints_.push_back({net::IpAddress::v4(address.data()),
                          static_cast<std::uint16_t>(1024 + peer % kPeersAnAddress)});
  }
  parcels_.reserve(pool_.capacity());
  subscribers_.reserve(pool_.capacity());
}

forwarding::LinkOptions PipelineTraffic::link_options() {
  return {{address_v4(kTunnelAddress)}, kTunnelPort};
}

std::shared_ptr<const forwarding::ForwardingTable> PipelineTraffic::forwarding_table() {
  forwarding::NextHop router;
  router.state = forwarding::NextHopState::kResolved;
  router.mtu = 9000;
  router.source = kOwnMac;
  router.destination = kRouterMac;
  forwarding::ForwardingContent content;
  content.add_route({address_v4(0), 0}, content.add_next_hop(router));
  return std::make_shared<const forwarding::ForwardingTable>(std::move(content));
}

tunnel::SessionKeys PipelineTraffic::session_keys(std::uint32_t peer, Instant created) const {
  tunnel::SessionKeys keys;
  keys.peer = id_of(peer);
  keys.suite = shape_.suite;
  keys.initiator = true;
  keys.local_index = local_index(peer, shape_.worker);
  keys.remote_index = {kFirstRemoteIndex + peer};
  keys.send_key = keys_[peer];
  keys.receive_key = keys_[peer];  // one direction is measured, the other stays unused
  keys.created = created;
  return keys;
}

nat::Config PipelineTraffic::nat_config() const {
  nat::Config config = flows_->nat_config();
  config.tunnel_mtu = config.internet_mtu = static_cast<std::uint16_t>(shape_.inner_mtu());
  return config;
}

std::vector<tunnel::AllowedIp> PipelineTraffic::allowed_ips() const {
  if (flows_ != nullptr) return flows_->allowed_ips();
  std::vector<tunnel::AllowedIp> entries;
  for (std::uint32_t id = 0; id < shape_.workers * shape_.peers; ++id)
    entries.push_back({{address_v4(kFirstPeerAddress + id), 32}, {id}});
  return entries;
}

std::uint32_t PipelineTraffic::peer_of(std::uint64_t number) const {
  if (flows_ != nullptr) return flows_->subscriber_of(flows_->flow_of(number));
  return static_cast<std::uint32_t>(number / shape_.train_segments % shape_.peers);
}

void PipelineTraffic::write_packet(std::uint64_t number, std::uint8_t* to) const {
  if (flows_ != nullptr) {
    write_flow_packet(number,
                      shape_.path == PipelinePath::kFromInternet ? Side::kOutside : Side::kInside,
                      kSentTtl, to);
    return;
  }
  write_super_packet(number, 1, to);
  set_tcp_checksum(to, net::checksum_finish(tcp_sum(to, shape_.sizes.of(number))));
}

void PipelineTraffic::write_flow_packet(std::uint64_t number, Side side, std::uint8_t ttl,
                                        std::uint8_t* to) const {
  const std::uint32_t flow = flows_->flow_of(number);
  const std::uint32_t packet_bytes = shape_.sizes.of(number);
  const std::uint32_t payload_bytes = packet_bytes - kHeaderBytes;
  const bool outside = side == Side::kOutside;
  const std::uint32_t address =
      outside ? flows_->external_address(flow) : flows_->inner_address(flow);
  const std::uint16_t port = outside ? flows_->external_port(flow) : flows_->inner_port(flow);
  Ends ends{address, GatewayFlows::kServerAddress, port, GatewayFlows::kServerPort, ttl, true};
  if (flows_->opens_flow(number)) ends.tcp_flags = net::kTcpSyn;
  if (shape_.path == PipelinePath::kFromInternet) {
    std::swap(ends.source, ends.destination);
    std::swap(ends.source_port, ends.destination_port);
  }
  write_headers(number, payload_bytes, packet_bytes, ends, to);
  write_payload(number, to + kHeaderBytes, payload_bytes);
  // Of the two forms of zero the one that the NAT's incremental update gives (as UDP needs it): one
  // packet in 65,536 has it.
  set_tcp_checksum(to, net::checksum_finish_udp(tcp_sum(to, packet_bytes)));
}

void PipelineTraffic::write_expected(std::uint64_t number, std::uint8_t* to) const {
  if (flows_ == nullptr) {
    write_packet(number, to);
    return;
  }
  write_flow_packet(number,
                    shape_.path == PipelinePath::kFromInternet ? Side::kInside : Side::kOutside,
                    kSentTtl - 1, to);
}

Result<void> PipelineTraffic::open_flows(nat::Nat& nat, Instant now) {
  std::vector<std::uint8_t> memory(kHeaderBytes);
  const auto write = [&](const Ends& ends, std::uint8_t flags) {
    write_headers(0, 0, kHeaderBytes, ends, memory.data());
    memory[Ip4View::kMinHeaderBytes + TcpView::kFlagsAt] = flags;
    // The headers' sum was made with the flags of other packets.
    store_le(memory.data() + kIpBytes + TcpView::kChecksumAt, std::uint16_t{0});
    const std::uint64_t pseudo = net::pseudo_header_sum_v4(
        memory.data() + Ip4View::kSourceAt, memory.data() + Ip4View::kDestinationAt,
        net::kProtocolTcp, kHeaderBytes - kIpBytes);
    store_le(memory.data() + kIpBytes + TcpView::kChecksumAt,
             net::checksum_finish(net::checksum_sum(ConstBytes(memory).subspan(kIpBytes), pseudo)));
  };
  for (std::uint32_t flow = 0; flow < flows_->count(); ++flow) {
    const Ends inside{flows_->inner_address(flow),
                      GatewayFlows::kServerAddress,
                      flows_->inner_port(flow),
                      GatewayFlows::kServerPort,
                      kSentTtl,
                      true};
    nat::Packet packet{memory.data(), kHeaderBytes, id_of(flows_->subscriber_of(flow))};
    write(inside, net::kTcpSyn);
    nat.outbound({&packet, 1}, now);
    if (packet.verdict != nat::Verdict::kForward) {
      return wrong(
          "a flow that the NAT does not take: " +
          std::string(kDropReasonTexts[static_cast<std::size_t>(drop_reason(packet.drop))].label));
    }
    if (auto learned = learn(flow, memory.data()); !learned) return learned;
    write({GatewayFlows::kServerAddress, flows_->external_address(flow), GatewayFlows::kServerPort,
           flows_->external_port(flow), kSentTtl, true},
          net::kTcpSyn | net::kTcpAck);
    nat.inbound({&packet, 1}, now);
    if (packet.verdict != nat::Verdict::kForward) return wrong("an answer that the NAT refuses");
    write(inside, net::kTcpAck);
    nat.outbound({&packet, 1}, now);
    if (packet.verdict != nat::Verdict::kForward) return wrong("a flow that the NAT does not keep");
  }
  return {};
}

// From a packet that came out outside.
Result<void> PipelineTraffic::learn(std::uint32_t flow, const std::uint8_t* packet) {
  return flows_->learn(flow, load_be<std::uint32_t>(packet + Ip4View::kSourceAt),
                       load_be<std::uint16_t>(packet + Ip4View::kMinHeaderBytes));
}

Result<Instant> PipelineTraffic::close_new_flows(nat::Nat& nat, Instant now) {
  flows_->forget_new();
  const auto ended = [&] { return nat.counters().mappings == flows_->count(); };
  if (ended()) return now;
  // Well past their lives: the wheel rounds up by more than a second. A tick looks at some of them.
  const Instant later = now + GatewayFlows::kNewFlowLife * 4;
  for (std::uint32_t tick = 0; tick <= shape_.packets && !ended(); ++tick)
    nat.tick(later);
  if (!ended()) return wrong("flows that do not end");
  return later + GatewayFlows::kNewFlowLife * 2;
}

std::uint64_t PipelineTraffic::number_of(ConstBytes packet) {
  if (packet.size() < kHeaderBytes + sizeof(std::uint64_t) ||
      load_be<std::uint16_t>(packet.data() + Ip4View::kTotalLengthAt) == kHeaderBytes) {
    return load_be<std::uint32_t>(packet.data() + kIpBytes + TcpView::kSequenceAt);
  }
  return load_le<std::uint64_t>(packet.data() + kHeaderBytes);
}

void PipelineTraffic::write_super_packet(std::uint64_t first, std::uint32_t count,
                                         std::uint8_t* to) const {
  const std::uint32_t payload_bytes = shape_.sizes.of(first) - kHeaderBytes;
  const std::uint32_t peer_address = kFirstPeerAddress + id_of(peer_of(first)).value;
  const bool out = shape_.path == PipelinePath::kEdgeOut;
  write_headers(first, payload_bytes, kHeaderBytes + count * payload_bytes,
                out ? Ends{kOurAddress, peer_address} : Ends{peer_address, kOurAddress}, to);
  for (std::uint32_t i = 0; i < count; ++i)
    write_payload(first + i, to + kHeaderBytes + i * payload_bytes, payload_bytes);
}

std::uint32_t PipelineTraffic::write_messages(std::uint64_t first, std::uint32_t count,
                                              std::uint8_t* to) {
  const std::uint32_t peer = peer_of(first);
  FarEnd& far_end = far_ends_[peer];
  const std::uint32_t packet_bytes = shape_.sizes.of(first);
  const std::uint32_t text_bytes = shape_.text_bytes(packet_bytes);
  const std::uint32_t message_bytes = shape_.message_bytes(packet_bytes);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint8_t* const message = to + i * message_bytes;
    std::uint8_t* const text = message + DataLayout::kCiphertext;
    tunnel::emit_message_header(message, tunnel::MessageType::kData, shape_.suite);
    store_le(message + DataLayout::kReceiver, local_index(peer, shape_.worker).value);
    store_le(message + DataLayout::kCounter, far_end.next_counter);
    write_packet(first + i, text);
    std::memset(text + packet_bytes, 0, text_bytes - packet_bytes);
    jobs_.push_back(
        {far_end.key.get(), text, text_bytes, false, shape_.suite, far_end.next_counter++});
  }
  return count * message_bytes;
}

void PipelineTraffic::offer_round(BenchPort& port) {
  CHECK(pool_.held() == 0);
  parcels_.clear();
  subscribers_.clear();
  output_bytes_ = 0;
  if (flows_ != nullptr) first_number_ += shape_.packets;
  Slot slot;
  for (std::uint32_t number = 0; number < shape_.packets; number += shape_.train_segments) {
    const std::uint32_t count = std::min(shape_.train_segments, shape_.packets - number);
    CHECK(pool_.allocate(slot));
    const std::uint32_t packet_bytes = shape_.sizes.of(first_number_ + number);
    std::uint32_t bytes = packet_bytes;
    output_bytes_ += std::uint64_t{count} *
                     (shape_.output_header_bytes() +
                      (seals(shape_.path) ? shape_.message_bytes(packet_bytes) : packet_bytes));
    const std::uint32_t header_bytes = shape_.input_header_bytes();
    std::uint8_t* const frame = slot.data;
    slot.data += header_bytes;
    if (opens(shape_.path)) {
      jobs_.clear();
      bytes = write_messages(first_number_ + number, count, slot.data);
      sealer_.seal(jobs_);
    } else if (count > 1) {
      write_super_packet(number, count, slot.data);
      bytes = kHeaderBytes + count * (packet_bytes - kHeaderBytes);
    } else {
      write_packet(first_number_ + number, slot.data);
    }
    if (header_bytes > 0) write_frame_headers(first_number_ + number, {slot.data, bytes});
    subscribers_.push_back(id_of(peer_of(first_number_ + number)));
    parcels_.push_back(
        {frame, header_bytes + bytes, slot.buffer, &endpoints_[peer_of(first_number_ + number)]});
  }
  // What every one has: where it is sealed, room for the padding and the tag.
  if (shape_.train_segments == 1 && !opens(shape_.path)) {
    slot.tailroom = shape_.longest_message() - shape_.sizes.longest();
  } else {
    slot.tailroom = 0;
  }
  if (shape_.train_segments > 1 && shape_.path == PipelinePath::kEdgeIn) {
    slot.train = TrainKind::kDatagrams;
    slot.segment_bytes = static_cast<std::uint16_t>(shape_.longest_message());
  } else if (shape_.train_segments > 1) {
    slot.train = TrainKind::kTcp;
    slot.segment_bytes = static_cast<std::uint16_t>(shape_.sizes.longest() - kHeaderBytes);
    slot.header_bytes = kHeaderBytes;
    slot.checksum = ChecksumState::kPartial;
    slot.checksum_start = Ip4View::kMinHeaderBytes;
    slot.checksum_offset = TcpView::kChecksumAt;
  }
  port.offer(parcels_, slot);
}

// Both have the same peers' packets at the same places, in buffers of the same kind.
void PipelineTraffic::exchange_misplaced(PipelineTraffic& other) {
  CHECK(parcels_.size() == other.parcels_.size());
  for (std::size_t i = 0; i < parcels_.size(); ++i) {
    if (!is_misplaced(first_number_ + i * shape_.train_segments)) continue;
    Parcel& ours = parcels_[i];
    Parcel& theirs = other.parcels_[i];
    CHECK(ours.length == theirs.length);
    std::swap_ranges(ours.data, ours.data + ours.length, theirs.data);
    std::swap(ours.remote, theirs.remote);
  }
}

void PipelineTraffic::write_frame_headers(std::uint64_t number, Bytes payload) const {
  std::uint8_t* frame = payload.data() - kEthernetBytes;
  if (!seals(shape_.path)) {
    forwarding::encapsulate({endpoints_[peer_of(number)].address,
                             endpoints_[peer_of(number)].port,
                             {address_v4(kTunnelAddress), kTunnelPort}},
                            payload);
    frame = payload.data() - kSealedHeaderBytes;
  }
  net::emit_ethernet(frame, kOwnMac.bytes.data(), kRouterMac.bytes.data(), net::kEtherTypeIpv4);
}

Result<void> PipelineTraffic::strip_frame_headers(std::vector<std::uint8_t>& frame) const {
  const auto ethernet = net::EthernetView::parse(frame);
  if (!ethernet || ethernet->header_bytes() != kEthernetBytes ||
      net::MacAddress::from(ethernet->destination()) != kRouterMac ||
      net::MacAddress::from(ethernet->source()) != kOwnMac) {
    return wrong("a frame that is not to the router");
  }
  if (seals(shape_.path)) {
    const auto ip = Ip4View::parse(ethernet->payload());
    const auto udp = ip ? net::UdpView::parse(ip->payload()) : std::nullopt;
    if (!udp || !ip->checksum_valid() || !udp->has_checksum() ||
        !udp->checksum_valid(ip->pseudo_header_sum()) || udp->source_port() != kTunnelPort) {
      return wrong("a datagram with bad headers");
    }
  }
  frame.erase(frame.begin(), frame.begin() + shape_.output_header_bytes());
  return {};
}

// The plaintext of a message that must be one of ours to a peer, padding included.
Result<std::vector<std::uint8_t>> PipelineTraffic::open(ConstBytes message) {
  tunnel::MessageHeader header;
  if (message.size() < DataLayout::kOverhead + kHeaderBytes ||
      !tunnel::parse_message_header(message, header) || header.type != tunnel::MessageType::kData ||
      header.suite != shape_.suite) {
    return wrong("not a data message of the right suite");
  }
  const std::uint32_t peer =
      load_le<std::uint32_t>(message.data() + DataLayout::kReceiver) - kFirstRemoteIndex;
  if (peer >= shape_.peers) return wrong("a message to nobody");
  FarEnd& far_end = far_ends_[peer];
  const auto counter = load_le<std::uint64_t>(message.data() + DataLayout::kCounter);
  if (counter < far_end.next_counter) return wrong("a counter that was used before");
  far_end.next_counter = counter + 1;
  std::vector<std::uint8_t> text(message.begin() + DataLayout::kCiphertext, message.end());
  const std::size_t text_bytes = text.size() - tunnel::kTagBytes;
  tunnel::AeadJob job{far_end.key.get(), text.data(), static_cast<std::uint32_t>(text_bytes), false,
                      shape_.suite,      counter};
  judge_.open({&job, 1});
  if (!job.ok) return wrong("a message that its peer cannot open");
  text.resize(text_bytes);
  return text;
}

Result<void> PipelineTraffic::check_round(const BenchPort::Sent& sent) {
  if (sent.packets != shape_.packets || sent.bytes != output_bytes_) {
    return wrong(std::to_string(shape_.packets) + " packets went in, " +
                 std::to_string(sent.packets) + " packets of " + std::to_string(sent.bytes) +
                 " bytes in all came out");
  }
  if (pool_.held() != 0) return wrong("buffers of the input were not released");
  Earliest earliest = {first_number_, first_number_};
  for (const std::vector<std::uint8_t>& text : sent.samples) {
    if (auto checked = check_sample(text, earliest); !checked) return checked;
  }
  return {};
}

Result<void> PipelineTraffic::check_sample(std::vector<std::uint8_t> text, Earliest& earliest) {
  const bool sealed = seals(shape_.path);
  if (is_gateway(shape_.path)) {
    if (auto stripped = strip_frame_headers(text); !stripped) return stripped;
  }
  if (sealed) {
    auto opened = open(text);
    if (!opened) return tl::unexpected<Error>(std::move(opened.error()));
    text = std::move(*opened);
  }
  if (text.size() < kHeaderBytes) return wrong("a packet without headers");
  const std::uint64_t number = number_of(text);
  if (number < first_number_ || number >= first_number_ + shape_.packets ||
      number < earliest[is_misplaced(number)]) {
    return wrong("a packet out of order");
  }
  earliest[is_misplaced(number)] = number + 1;
  const std::uint32_t packet_bytes = shape_.sizes.of(number);
  if (text.size() != (sealed ? shape_.text_bytes(packet_bytes) : packet_bytes)) {
    return wrong("a packet of " + std::to_string(text.size()) + " bytes");
  }
  if (shape_.path == PipelinePath::kToInternet || shape_.path == PipelinePath::kNatOnly) {
    if (auto learned = learn(flows_->flow_of(number), text.data()); !learned) return learned;
  }
  std::vector<std::uint8_t> expected(text.size());  // the padding is zero
  write_expected(number, expected.data());
  if (text != expected)
    return wrong("packet " + std::to_string(number) + " is not what it must be");
  return {};
}

}  // namespace ringway::bench
