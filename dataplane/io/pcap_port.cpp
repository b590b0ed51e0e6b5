#include "dataplane/io/pcap_port.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/net/checksum.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"
#include "dataplane/io/slot_tools.hpp"

namespace ringway::io {
namespace {

using net::Ip4View;
using net::Ip6View;
using net::UdpView;

constexpr std::uint8_t kShownHopLimit = 64;
// Of a replayed packet's buffer; the tail has room for padding and a tag.
constexpr std::uint32_t kLeastBufferBytes = 2048;
constexpr std::uint32_t kTailBytes = 64;
constexpr std::size_t kMaxShownHeaderBytes = Ip6View::kHeaderBytes + UdpView::kHeaderBytes;

// The headers that a datagram would have had on the wire, for the reader of a capture. Returns
// their length. `to` has room for kMaxShownHeaderBytes.
std::size_t emit_shown_headers(const net::Endpoint& from, const net::Endpoint& destination,
                               std::uint8_t traffic_class, ConstBytes payload, std::uint8_t* to) {
  const bool v4 = destination.address.is_v4();
  const std::size_t ip_bytes = v4 ? Ip4View::kMinHeaderBytes : Ip6View::kHeaderBytes;
  const std::size_t header_bytes = ip_bytes + UdpView::kHeaderBytes;
  const std::size_t udp_bytes =
      std::min<std::size_t>(UdpView::kHeaderBytes + payload.size(), UINT16_MAX - ip_bytes);
  const std::uint8_t* const source = from.address.bytes.data();
  const std::uint8_t* const target = destination.address.bytes.data();
  std::memset(to, 0, header_bytes);
  std::uint64_t sum = 0;
  const auto udp_length = static_cast<std::uint16_t>(udp_bytes);
  if (v4) {
    to[0] = 0x45;
    to[1] = traffic_class;
    store_be(to + Ip4View::kTotalLengthAt, static_cast<std::uint16_t>(ip_bytes + udp_bytes));
    to[Ip4View::kTtlAt] = kShownHopLimit;
    to[Ip4View::kProtocolAt] = net::kProtocolUdp;
    std::memcpy(to + Ip4View::kSourceAt, source, 4);
    std::memcpy(to + Ip4View::kDestinationAt, target, 4);
    store_le(to + Ip4View::kChecksumAt, net::checksum_finish(net::checksum_sum({to, ip_bytes})));
    sum = net::pseudo_header_sum_v4(source, target, net::kProtocolUdp, udp_length);
  } else {
    store_be(to, 0x6000'0000U | (std::uint32_t{traffic_class} << 20));
    store_be(to + Ip6View::kPayloadLengthAt, udp_length);
    to[Ip6View::kNextHeaderAt] = net::kProtocolUdp;
    to[Ip6View::kHopLimitAt] = kShownHopLimit;
    std::memcpy(to + Ip6View::kSourceAt, source, 16);
    std::memcpy(to + Ip6View::kDestinationAt, target, 16);
    sum = net::pseudo_header_sum_v6(source, target, net::kProtocolUdp, udp_length);
  }
  std::uint8_t* const udp = to + ip_bytes;
  net::emit_udp(udp, from.port, destination.port, udp_length);
  sum = net::checksum_sum({udp, UdpView::kHeaderBytes}, sum);
  sum = net::checksum_sum(payload, sum);
  store_le(udp + UdpView::kChecksumAt, net::checksum_finish_udp(sum));
  return header_bytes;
}

}  // namespace

PcapPort::PcapPort(Port& wrapped, PcapWriter writer, PcapContents contents,
                   std::uint16_t local_port)
    : wrapped_(wrapped), writer_(std::move(writer)), contents_(contents), local_port_(local_port) {}

std::size_t PcapPort::rx_burst(std::span<Slot> out) {
  const std::size_t received = wrapped_.rx_burst(out);
  if (received == 0) return 0;
  for (const Slot& slot : out.first(received))
    record(slot, Direction::kReceived);
  const BurstSize size = burst_size(out.first(received));
  counters_.rx_packets.add(size.datagrams);
  counters_.rx_bytes.add(size.bytes);
  counters_.rx_bursts.increment();
  return received;
}

std::size_t PcapPort::tx_burst(std::span<Slot> slots) {
  if (slots.empty()) return 0;
  for (const Slot& slot : slots)
    record(slot, Direction::kSent);
  const BurstSize size = burst_size(slots);
  const std::size_t dropped = wrapped_.tx_burst(slots);
  counters_.tx_packets.add(size.datagrams - dropped);
  counters_.tx_bytes.add(size.bytes);
  counters_.tx_bursts.increment();
  counters_.tx_dropped.add(dropped);
  return dropped;
}

std::string PcapPort::describe() const {
  return wrapped_.describe() + ", captured";
}

void PcapPort::record(const Slot& slot, Direction direction) {
  if (contents_ == PcapContents::kIpPackets) {
    writer_.write(now_, {slot.data, slot.length});
    return;
  }
  const std::uint32_t count = slot.train == TrainKind::kDatagrams ? segment_count(slot) : 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    record_datagram(count == 1 ? slot : datagram_at(slot, i), direction);
  }
}

void PcapPort::record_datagram(const Slot& slot, Direction direction) {
  net::Endpoint local{slot.local, local_port_};
  if (local.address.family != slot.remote.address.family) {
    local.address = net::IpAddress{{}, slot.remote.address.family};
  }
  const bool received = direction == Direction::kReceived;
  const ConstBytes payload{slot.data, slot.length};
  std::uint8_t header[kMaxShownHeaderBytes];
  const std::size_t header_bytes =
      emit_shown_headers(received ? slot.remote : local, received ? local : slot.remote,
                         slot.traffic_class, payload, header);
  writer_.write(now_, {header, header_bytes}, payload);
}

Result<std::unique_ptr<PcapReplayPort>> PcapReplayPort::open(std::vector<std::uint8_t> file,
                                                             const PcapReplayConfig& config) {
  auto records = index(file);
  if (!records) return tl::unexpected(std::move(records.error()));
  std::uint32_t longest = 0;
  for (const Record& record : *records)
    longest = std::max(longest, record.bytes);
  const std::uint32_t buffer_bytes =
      std::max(kLeastBufferBytes, kDefaultHeadroom + longest + kTailBytes);
  return std::unique_ptr<PcapReplayPort>(
      new PcapReplayPort(std::move(file), std::move(*records), config, buffer_bytes));
}

PcapReplayPort::PcapReplayPort(std::vector<std::uint8_t> file, std::vector<Record> records,
                               const PcapReplayConfig& config, std::uint32_t buffer_bytes)
    : file_(std::move(file)),
      records_(std::move(records)),
      config_(config),
      pool_(config.buffer_count, buffer_bytes) {}

Result<std::vector<PcapReplayPort::Record>> PcapReplayPort::index(ConstBytes file) {
  auto reader = PcapReader::parse(file);
  if (!reader) return tl::unexpected(std::move(reader.error()));
  std::vector<Record> records;
  std::int64_t first_ns = 0;
  for (;;) {
    const auto record = reader->next();
    if (!record) return tl::unexpected(record.error());
    if (!*record) return records;
    const PcapRecord& found = **record;
    if (records.empty()) first_ns = found.time.unix_ns();
    records.push_back({static_cast<std::size_t>(found.bytes.data() - file.data()),
                       static_cast<std::uint32_t>(found.bytes.size()),
                       found.original_bytes > found.bytes.size(),
                       Duration::nanoseconds(found.time.unix_ns() - first_ns)});
  }
}

void PcapReplayPort::advance(Instant now) {
  if (!started_) start_ = now_ = now;
  started_ = true;
  now_ = std::max(now_, now);
}

bool PcapReplayPort::due(const Record& record) const {
  return !config_.paced || (started_ && now_ - start_ >= record.after_first);
}

std::size_t PcapReplayPort::rx_burst(std::span<Slot> out) {
  std::size_t received = 0;
  while (received < out.size() && next_ < records_.size() && due(records_[next_])) {
    Slot& slot = out[received];
    if (!pool_.allocate(slot)) break;
    const Record& record = records_[next_++];
    std::memcpy(slot.data, file_.data() + record.at, record.bytes);
    slot.length = record.bytes;
    slot.tailroom -= record.bytes;
    slot.truncated = record.truncated;
    ++received;
    counters_.rx_bytes.add(record.bytes);
  }
  if (received == 0) return 0;
  counters_.rx_packets.add(received);
  counters_.rx_bursts.increment();
  return received;
}

std::size_t PcapReplayPort::tx_burst(std::span<Slot> slots) {
  if (slots.empty()) return 0;
  const BurstSize size = burst_size(slots);
  counters_.tx_packets.add(size.datagrams);
  counters_.tx_bytes.add(size.bytes);
  counters_.tx_bursts.increment();
  release_all(slots);
  return 0;
}

std::size_t PcapReplayPort::alloc_burst(std::span<Slot> out) {
  std::size_t allocated = 0;
  while (allocated < out.size() && pool_.allocate(out[allocated]))
    ++allocated;
  return allocated;
}

std::string PcapReplayPort::describe() const {
  return "capture replay: " + std::to_string(records_.size()) + " packets";
}

}  // namespace ringway::io
