// Packets that a mapping is there for, and that ask for nothing but their translation: whole, plain
// headers, TTL to spare, short enough, a remote address that is known, a TCP connection in full
// flow. Everything else is the slow path's, without having been touched.
//
// Outbound: the source is looked up by hash, inbound the destination by its port. Three walks over
// a part of the batch: parse and fetch the index, read the index and fetch the mapping, compare and
// rewrite; at a million flows each fetch is a miss to memory.
#pragma once

#include <cstdint>

#include "dataplane/nat/rewrite.hpp"
#include "dataplane/nat/shard.hpp"

namespace ringway::nat {

// Both give verdict kForward to what they did, and call slow(packet) for the rest, in order.
template <typename Slow>
void outbound_batch(Shard& shard, std::span<Packet> packets, Ticks now, Slow&& slow);
template <typename Slow>
void inbound_batch(Shard& shard, std::span<Packet> packets, Ticks now, Slow&& slow);

namespace detail {

// Packets in flight at once: enough to hide a miss behind the others' work, few enough that their
// lines stay in the first-level cache. (ringway-bench nat.)
inline constexpr std::size_t kStride = 128;

// What a plain packet is, before anything is looked up. Without initial values: a part of a batch
// has room for more packets than most bursts bring, and 3 KiB of zeros cost them 9 cycles each.
struct Plain {
  MappingKind kind;  // 0: not plain
  bool tcp;
  std::uint8_t port_at;  // of our side's port or identifier
  std::uint8_t checksum_at;
  std::uint8_t tcp_flags;
  std::uint16_t address;  // inbound: which external address
  Slot slot;              // a guess
  std::uint64_t hash;
};
static_assert(kNoSlot == 0);  // what Plain{} has

template <net::Family kFamily>
inline constexpr std::size_t kIpBytes =
    kFamily == net::Family::kIpv4 ? net::Ip4View::kMinHeaderBytes : net::Ip6View::kHeaderBytes;

// The same as parse_flow() says of such packets, in fewer steps.
template <net::Family kFamily, Way kWay>
[[nodiscard]] inline bool parse_plain(const Packet& packet, std::uint8_t ttl_step,
                                      std::uint32_t mtu, Plain& plain) {
  constexpr std::size_t kIp = kIpBytes<kFamily>;
  const std::uint8_t* const data = packet.data;
  if (packet.length < kIp + 8 || packet.length > mtu) return false;
  std::uint8_t protocol = 0;
  if constexpr (kFamily == net::Family::kIpv4) {
    if (data[0] != 0x45 || load_be<std::uint16_t>(data + 2) != packet.length ||
        (load_be<std::uint16_t>(data + net::Ip4View::kFragmentAt) & 0x3fff) != 0 ||
        data[net::Ip4View::kTtlAt] <= ttl_step) {
      return false;
    }
    protocol = data[net::Ip4View::kProtocolAt];
  } else {
    if (load_be<std::uint16_t>(data + net::Ip6View::kPayloadLengthAt) + kIp != packet.length ||
        data[net::Ip6View::kHopLimitAt] <= ttl_step) {
      return false;
    }
    protocol = data[net::Ip6View::kNextHeaderAt];
  }
  const std::uint8_t* const transport = data + kIp;
  const std::size_t transport_bytes = packet.length - kIp;
  plain.port_at = static_cast<std::uint8_t>(kIp + (kWay == Way::kOut ? 0 : 2));
  if (protocol == net::kProtocolTcp) {
    if (transport_bytes < net::TcpView::kMinHeaderBytes) return false;
    const std::size_t header =
        static_cast<std::size_t>(transport[net::TcpView::kDataOffsetAt] >> 4) * 4;
    if (header < net::TcpView::kMinHeaderBytes || header > transport_bytes) return false;
    plain.tcp = true;
    plain.tcp_flags = transport[net::TcpView::kFlagsAt];
    plain.kind = mapping_kind(Transport::kTcp, kFamily);
    plain.checksum_at = kIp + net::TcpView::kChecksumAt;
    return true;
  }
  if (protocol == net::kProtocolUdp) {
    const std::size_t length = load_be<std::uint16_t>(transport + net::UdpView::kLengthAt);
    if (length < net::UdpView::kHeaderBytes || length > transport_bytes) return false;
    plain.kind = mapping_kind(Transport::kUdp, kFamily);
    plain.checksum_at = kIp + net::UdpView::kChecksumAt;
    return true;
  }
  constexpr bool kIp4 = kFamily == net::Family::kIpv4;
  constexpr std::uint8_t kRequest = kIp4 ? net::kIcmpEchoRequest : net::kIcmpv6EchoRequest;
  constexpr std::uint8_t kReply = kIp4 ? net::kIcmpEchoReply : net::kIcmpv6EchoReply;
  if (protocol != protocol_number(Transport::kIcmp, kFamily) ||
      transport[0] != (kWay == Way::kOut ? kRequest : kReply)) {
    return false;
  }
  plain.kind = mapping_kind(Transport::kIcmp, kFamily);
  plain.port_at = kIp + net::IcmpView::kIdentifierAt;
  plain.checksum_at = kIp + net::IcmpView::kChecksumAt;
  return true;
}

template <net::Family kFamily>
[[nodiscard]] inline InnerKey inner_key(const Packet& packet, const Plain& plain) {
  return {packet.data + address_at(kFamily, Side::kSource), packet.subscriber.value,
          load_be<std::uint16_t>(packet.data + plain.port_at), plain.kind};
}

// One end of a packet, with sums prepared in the mapping.
template <net::Family kFamily>
inline void apply(std::uint8_t* data, const Plain& plain, Side side, const std::uint8_t* address,
                  std::uint16_t port, std::uint16_t ip_delta, std::uint16_t transport_delta,
                  const Shard& shard) {
  std::memcpy(data + address_at(kFamily, side), address, address_bytes(kFamily));
  store_be(data + plain.port_at, port);
  if constexpr (kFamily == net::Family::kIpv4) {
    std::uint8_t* const field = data + net::Ip4View::kChecksumAt;
    const auto before = static_cast<std::uint16_t>(~load_le<std::uint16_t>(field));
    store_le(field, net::checksum_finish(std::uint64_t{before} + ip_delta + shard.ttl_delta));
    data[net::Ip4View::kTtlAt] =
        static_cast<std::uint8_t>(data[net::Ip4View::kTtlAt] - shard.ttl_step);
  } else {
    data[net::Ip6View::kHopLimitAt] =
        static_cast<std::uint8_t>(data[net::Ip6View::kHopLimitAt] - shard.ttl_step);
  }
  std::uint8_t* const field = data + plain.checksum_at;
  const auto value = load_le<std::uint16_t>(field);
  constexpr MappingKind kUdp = mapping_kind(Transport::kUdp, kFamily);
  if (plain.kind == kUdp && value == 0) return;  // none
  const auto before = static_cast<std::uint16_t>(~value);
  store_le(field, net::checksum_finish_udp(std::uint64_t{before} + transport_delta));
}

// Of what may be cut on its way; with DF set it means nothing (RFC 6864 section 4.1).
inline void renew_identification(Shard& shard, std::uint8_t* data) {
  if ((data[net::Ip4View::kFragmentAt] & 0x40) != 0) return;
  const std::uint32_t fresh = shard.identifications.next_v4(data, data[net::Ip4View::kProtocolAt]);
  rewrite_identification4(data, static_cast<std::uint16_t>(fresh));
}

template <net::Family kFamily>
[[nodiscard]] inline bool try_outbound(Shard& shard, Packet& packet, const Plain& plain,
                                       Ticks now) {
  if (plain.slot == kNoSlot) return false;
  Mapping& mapping = shard.table[plain.slot];
  if (!MappingTable::matches<kFamily>(mapping, inner_key<kFamily>(packet, plain))) return false;
  if (!has_inline_remote<kFamily>(mapping, packet.data + address_at(kFamily, Side::kDestination))) {
    return false;
  }
  if (plain.tcp) {
    const auto remote_port = load_be<std::uint16_t>(packet.data + kIpBytes<kFamily> + 2);
    if (!is_plain_progress(mapping.tcp, plain.tcp_flags) ||
        (mapping.remote_port != remote_port && !mapping.is(Mapping::kSeveralPeers))) {
      return false;
    }
  }
  mapping.last_used = now;
  apply<kFamily>(packet.data, plain, Side::kSource, shard.externals.bytes(mapping.external_address),
                 mapping.external_port, mapping.ip_delta, mapping.transport_delta, shard);
  if constexpr (kFamily == net::Family::kIpv4) renew_identification(shard, packet.data);
  return true;
}

template <net::Family kFamily>
[[nodiscard]] inline bool try_inbound(Shard& shard, Packet& packet, const Plain& plain, Ticks now) {
  if (plain.slot == kNoSlot) return false;
  Mapping& mapping = shard.table[plain.slot];
  if (!has_inline_remote<kFamily>(mapping, packet.data + address_at(kFamily, Side::kSource))) {
    return false;
  }
  if (plain.tcp) {
    if (!is_plain_progress(mapping.tcp, plain.tcp_flags)) return false;
    mapping.last_used = now;
  }
  packet.subscriber = PeerId{mapping.subscriber};
  apply<kFamily>(packet.data, plain, Side::kDestination, mapping.inner_address(),
                 mapping.inner_port, static_cast<std::uint16_t>(~mapping.ip_delta),
                 static_cast<std::uint16_t>(~mapping.transport_delta), shard);
  return true;
}

template <net::Family kFamily>
inline void begin_outbound(const Shard& shard, const Packet& packet, Plain& plain) {
  if (!parse_plain<kFamily, Way::kOut>(packet, shard.ttl_step, shard.config.internet_mtu, plain)) {
    plain.kind = 0;
    return;
  }
  plain.hash = shard.table.hash<kFamily>(inner_key<kFamily>(packet, plain));
  shard.table.prefetch(plain.hash);
}

template <net::Family kFamily>
inline void begin_inbound(const Shard& shard, const Packet& packet, Plain& plain) {
  if (!parse_plain<kFamily, Way::kIn>(packet, shard.ttl_step, shard.config.tunnel_mtu, plain)) {
    plain.kind = 0;
    return;
  }
  plain.address =
      shard.externals.find<kFamily>(packet.data + address_at(kFamily, Side::kDestination));
  if (plain.address == ExternalAddresses::kNone) {
    plain.kind = 0;
    return;
  }
  shard.ports.prefetch(plain.address, transport_of_kind(plain.kind),
                       load_be<std::uint16_t>(packet.data + plain.port_at));
}

// Which of two instances a packet takes; what is neither family is not plain in either.
[[nodiscard]] inline bool looks_v4(const Packet& packet) {
  return packet.length > 0 && packet.data[0] >> 4 == 4;
}
[[nodiscard]] inline bool looks_v6(const Packet& packet) {
  return packet.length > 0 && packet.data[0] >> 4 == 6;
}

}  // namespace detail

template <typename Slow>
void outbound_batch(Shard& shard, std::span<Packet> packets, Ticks now, Slow&& slow) {
  using net::Family;
  for (std::size_t base = 0; base < packets.size(); base += detail::kStride) {
    const auto part = packets.subspan(base, std::min(detail::kStride, packets.size() - base));
    std::array<detail::Plain, detail::kStride> plain;
    for (std::size_t i = 0; i < part.size(); ++i) {
      plain[i] = detail::Plain{};
      if (detail::looks_v4(part[i])) {
        detail::begin_outbound<Family::kIpv4>(shard, part[i], plain[i]);
      } else if (detail::looks_v6(part[i])) {
        detail::begin_outbound<Family::kIpv6>(shard, part[i], plain[i]);
      }
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (plain[i].kind != 0) plain[i].slot = shard.table.guess(plain[i].hash);
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
      const bool done = detail::looks_v4(part[i])
                            ? detail::try_outbound<Family::kIpv4>(shard, part[i], plain[i], now)
                            : detail::try_outbound<Family::kIpv6>(shard, part[i], plain[i], now);
      if (done) {
        part[i].verdict = Verdict::kForward;
      } else {
        slow(part[i]);
      }
    }
  }
}

template <typename Slow>
void inbound_batch(Shard& shard, std::span<Packet> packets, Ticks now, Slow&& slow) {
  using net::Family;
  for (std::size_t base = 0; base < packets.size(); base += detail::kStride) {
    const auto part = packets.subspan(base, std::min(detail::kStride, packets.size() - base));
    std::array<detail::Plain, detail::kStride> plain;
    for (std::size_t i = 0; i < part.size(); ++i) {
      plain[i] = detail::Plain{};
      if (detail::looks_v4(part[i])) {
        detail::begin_inbound<Family::kIpv4>(shard, part[i], plain[i]);
      } else if (detail::looks_v6(part[i])) {
        detail::begin_inbound<Family::kIpv6>(shard, part[i], plain[i]);
      }
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (plain[i].kind == 0) continue;
      plain[i].slot =
          shard.ports.mapping_at(plain[i].address, transport_of_kind(plain[i].kind),
                                 load_be<std::uint16_t>(part[i].data + plain[i].port_at));
      __builtin_prefetch(&shard.table[plain[i].slot]);
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
      const bool done = detail::looks_v4(part[i])
                            ? detail::try_inbound<Family::kIpv4>(shard, part[i], plain[i], now)
                            : detail::try_inbound<Family::kIpv6>(shard, part[i], plain[i], now);
      if (done) {
        part[i].verdict = Verdict::kForward;
      } else {
        slow(part[i]);
      }
    }
  }
}

}  // namespace ringway::nat
