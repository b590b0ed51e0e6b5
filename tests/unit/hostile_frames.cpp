#include "tests/unit/hostile_frames.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

#include "base/net/ethernet.hpp"
#include "base/net/icmp.hpp"
#include "base/net/inner_packet.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"
#include "base/rng.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "tests/unit/nat_packets.hpp"

namespace ringway::hostile {
namespace {

using nat::testing_support::address;
using nat::testing_support::build;
using nat::testing_support::build_error;
using nat::testing_support::PacketSpec;
using Packet = std::vector<std::uint8_t>;

constexpr std::size_t kMaxPacketBytes = 1500;
constexpr std::uint64_t kRandomPackets = 100'000;
constexpr std::size_t kRandomChanges = 4;  // at most

// --- Fields --------------------------------------------------------------------------------------

struct Field {
  std::string_view name;
  std::uint16_t bit;  // from the start of its header
  std::uint16_t bits;
};

constexpr Field kIp4Fields[] = {
    {"IPv4 version", 0, 4},
    {"IPv4 header length", 4, 4},
    {"IPv4 TOS", 8, 8},
    {"IPv4 total length", 16, 16},
    {"IPv4 identification", 32, 16},
    {"IPv4 flags", 48, 3},
    {"IPv4 fragment offset", 51, 13},
    {"IPv4 TTL", 64, 8},
    {"IPv4 protocol", 72, 8},
    {"IPv4 checksum", 80, 16},
};
constexpr Field kIp6Fields[] = {
    {"IPv6 version", 0, 4},          {"IPv6 traffic class", 4, 8}, {"IPv6 flow label", 12, 20},
    {"IPv6 payload length", 32, 16}, {"IPv6 next header", 48, 8},  {"IPv6 hop limit", 56, 8},
};
constexpr Field kUdpFields[] = {
    {"UDP source port", 0, 16},
    {"UDP destination port", 16, 16},
    {"UDP length", 32, 16},
    {"UDP checksum", 48, 16},
};
constexpr Field kTcpFields[] = {
    {"TCP source port", 0, 16},      {"TCP destination port", 16, 16}, {"TCP sequence", 32, 32},
    {"TCP acknowledgment", 64, 32},  {"TCP data offset", 96, 4},       {"TCP reserved", 100, 4},
    {"TCP flags", 104, 8},           {"TCP window", 112, 16},          {"TCP checksum", 128, 16},
    {"TCP urgent pointer", 144, 16},
};
constexpr Field kIcmpFields[] = {
    {"ICMP type", 0, 8},         {"ICMP code", 8, 8},       {"ICMP checksum", 16, 16},
    {"ICMP identifier", 32, 16}, {"ICMP sequence", 48, 16},
};
// The fragment header; of others the first bytes, which they have in common.
constexpr Field kExtensionFields[] = {
    {"extension next header", 0, 8},      {"extension length", 8, 8},
    {"extension offset", 16, 13},         {"extension flags", 29, 3},
    {"extension identification", 32, 32},
};
constexpr Field kMessageFields[] = {
    {"message type", 0, 8},       {"message suite", 8, 8},     {"message reserved", 16, 16},
    {"message receiver", 32, 32}, {"message counter", 64, 64},
};
constexpr Field kEthernetFields[] = {
    {"Ethernet destination", 0, 48},
    {"Ethernet source", 48, 48},
    {"Ethernet type", 96, 16},
};

std::uint64_t read_bits(ConstBytes bytes, std::size_t bit, std::size_t bits) {
  std::uint64_t value = 0;
  for (std::size_t i = bit; i < bit + bits; ++i)
    value = value << 1 | ((std::uint64_t{bytes[i / 8]} >> (7 - i % 8)) & 1);
  return value;
}
void write_bits(Packet& packet, std::size_t bit, std::size_t bits, std::uint64_t value) {
  for (std::size_t i = 0; i < bits; ++i) {
    const std::size_t at = bit + bits - 1 - i;
    const auto mask = static_cast<std::uint8_t>(0x80U >> at % 8);
    const bool set = (value >> i & 1) != 0;
    packet[at / 8] =
        static_cast<std::uint8_t>(set ? packet[at / 8] | mask : packet[at / 8] & ~mask);
  }
}

// All of a small field, the ends and the neighbourhood of what is right of a large one.
std::vector<std::uint64_t> extremes(std::uint64_t right, std::size_t bits) {
  const std::uint64_t most = bits == 64 ? UINT64_MAX : (std::uint64_t{1} << bits) - 1;
  std::vector<std::uint64_t> values;
  if (bits <= 8) {
    for (std::uint64_t value = 0; value <= most; ++value)
      values.push_back(value);
    return values;
  }
  const std::uint64_t middle = most / 2;
  for (const std::uint64_t value : {std::uint64_t{0},
                                    std::uint64_t{1},
                                    std::uint64_t{2},
                                    std::uint64_t{7},
                                    std::uint64_t{8},
                                    std::uint64_t{19},
                                    std::uint64_t{20},
                                    std::uint64_t{53},
                                    right - 8,
                                    right - 2,
                                    right - 1,
                                    right + 1,
                                    right + 2,
                                    right + 8,
                                    right * 2,
                                    middle - 1,
                                    middle,
                                    middle + 1,
                                    most - 8,
                                    most - 1,
                                    most}) {
    values.push_back(value & most);
  }
  return values;
}

// --- What is changed: packets as they should be --------------------------------------------------

struct Header {
  std::span<const Field> fields;
  std::size_t at;  // byte of the packet
};

struct Base {
  std::string name;
  Packet bytes;
  std::vector<Header> headers;
};

std::span<const Field> transport_fields(std::uint8_t protocol) {
  switch (protocol) {
    case net::kProtocolTcp:
      return kTcpFields;
    case net::kProtocolUdp:
      return kUdpFields;
    default:
      return kIcmpFields;
  }
}

// Of a good packet at `at`: its IP header, extension headers, transport header, and, in an error,
// those of what is quoted.
void find_headers(const Packet& packet, std::size_t at, std::vector<Header>& headers) {
  const bool v6 = packet[at] >> 4 == 6;
  headers.push_back({v6 ? std::span<const Field>(kIp6Fields) : kIp4Fields, at});
  std::uint8_t protocol = packet[at + (v6 ? 6U : 9U)];
  std::size_t next = at + (v6 ? net::Ip6View::kHeaderBytes : (packet[at] & 0x0fU) * 4);
  bool later = !v6 && read_bits(packet, (at + 6) * 8 + 3, 13) != 0;
  if (v6) {
    const auto upper = net::ip6_upper_layer(ConstBytes(packet).subspan(at));
    for (std::size_t extension = next; extension < at + upper->offset; extension += 8)
      headers.push_back({kExtensionFields, extension});
    protocol = upper->protocol;
    next = at + upper->offset;
    later = !upper->first_fragment;
  }
  if (later) return;
  headers.push_back({transport_fields(protocol), next});
  const bool error = protocol == (v6 ? net::kProtocolIcmpv6 : net::kProtocolIcmp) &&
                     (v6 ? packet[next] < 128 : packet[next] == net::kIcmpUnreachable);
  if (error) find_headers(packet, next + net::IcmpView::kHeaderBytes, headers);
}

PacketSpec spec_between(const Ends& ends, bool v6, std::uint8_t protocol) {
  PacketSpec spec;
  spec.protocol = protocol;
  spec.source = v6 ? ends.from6 : ends.from4;
  spec.destination = v6 ? ends.to6 : ends.to4;
  spec.source_port = ends.from_port;
  const Listeners& listening = v6 ? ends.listening6 : ends.listening4;
  spec.destination_port = protocol == net::kProtocolTcp ? listening.tcp_port : listening.udp_port;
  if (protocol == net::kProtocolIcmp || protocol == net::kProtocolIcmpv6) {
    spec.source_port = listening.identifier;
  }
  return spec;
}

class Bases {
 public:
  explicit Bases(const Ends& ends) : ends_(ends) {
    for (const bool v6 : {false, true}) {
      v6_ = v6;
      add_plain();
      add_errors();
      add_fragments();
      add_options();
    }
  }
  [[nodiscard]] const std::vector<Base>& all() const { return bases_; }

 private:
  [[nodiscard]] PacketSpec spec(std::uint8_t protocol) const {
    PacketSpec spec = spec_between(ends_, v6_, protocol);
    spec.payload = Packet(40, 0x5a);
    return spec;
  }
  [[nodiscard]] std::uint8_t icmp() const {
    return v6_ ? net::kProtocolIcmpv6 : net::kProtocolIcmp;
  }

  void add(const std::string& name, const Packet& packet) {
    Base base{name + (v6_ ? "6" : "4"), packet, {}};
    find_headers(base.bytes, 0, base.headers);
    bases_.push_back(std::move(base));
  }

  void add_plain() {
    add("udp", build(spec(net::kProtocolUdp)));
    PacketSpec tcp = spec(net::kProtocolTcp);
    tcp.tcp_options = {2, 4, 5, 0xb4, 1, 1, 4, 2};
    tcp.tcp_flags = net::kTcpSyn;
    add("tcp", build(tcp));
    PacketSpec reply = spec(icmp());
    reply.icmp_type = v6_ ? net::kIcmpv6EchoReply : net::kIcmpTimestampReply;
    add("answer", build(reply));
    reply.icmp_type = 0;
    add("echo", build(reply));
    PacketSpec tunnel = spec(net::kProtocolUdp);
    tunnel.destination_port = ends_.tunnel_port;
    tunnel.payload.assign(tunnel::DataLayout::kMinSize, 0);
    tunnel::emit_message_header(tunnel.payload.data(), tunnel::MessageType::kData,
                                tunnel::Suite::kAes256Gcm);
    add("message", build(tunnel));
    const std::size_t headers = (v6_ ? 40U : 20U) + net::UdpView::kHeaderBytes;
    bases_.back().headers.push_back({kMessageFields, headers});
  }

  void add_errors() {
    const net::IpAddress& from = v6_ ? ends_.from6 : ends_.from4;
    const net::IpAddress& to = v6_ ? ends_.to6 : ends_.to4;
    for (const std::uint8_t protocol : {net::kProtocolUdp, net::kProtocolTcp, icmp()}) {
      PacketSpec sent = spec(protocol);
      std::swap(sent.source, sent.destination);
      if (protocol != icmp()) std::swap(sent.source_port, sent.destination_port);
      const std::uint8_t type = v6_ ? net::kIcmpv6PacketTooBig : net::kIcmpUnreachable;
      const std::uint8_t code = v6_ ? 0 : net::kIcmpCodeFragmentationNeeded;
      add("error about " + std::to_string(protocol) + " over ",
          build_error(from, to, type, code, 1280, build(sent)));
    }
  }

  void add_fragments() {
    for (const std::uint8_t protocol : {net::kProtocolUdp, net::kProtocolTcp}) {
      PacketSpec whole = spec(protocol);
      whole.payload.assign(200, 0x5a);
      int number = 0;
      for (const Packet& part : nat::testing_support::cut(build(whole), 96, 77))
        add("fragment " + std::to_string(++number) + " of " + std::to_string(protocol) + " over ",
            part);
    }
  }

  void add_options() {
    PacketSpec with = spec(net::kProtocolUdp);
    with.ip_options = {0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0};  // router alert, record route
    with.extensions = {
        net::kNextRouting, 0, 1, 4, 0, 0, 0, 0, net::kNextDestinationOptions, 0, 4, 0, 0, 0, 0, 0,
        with.protocol,     0, 1, 4, 0, 0, 0, 0};
    with.first_extension = net::kNextHopByHop;
    add("options", build(with));
  }

  const Ends& ends_;
  bool v6_ = false;
  std::vector<Base> bases_;
};

// --- Changes -------------------------------------------------------------------------------------

// Where the change has left a packet that has checksums, they are put right: so that it is not they
// that keep it out. False: it has none.
bool put_checksums_right(Packet& packet) {
  constexpr std::size_t kLongestChecksumEnd = 18;  // TCP's
  net::InnerPacket parsed;
  if (!net::parse_inner_packet(packet, parsed) || parsed.total_bytes != packet.size()) return false;
  const auto upper = net::ip6_upper_layer(packet);
  const bool v6 = parsed.family == net::Family::kIpv6;
  if (v6 && !upper) return false;
  const std::size_t transport = v6 ? upper->offset : (packet[0] & 0x0fU) * 4;
  if (packet.size() < transport + kLongestChecksumEnd) return false;
  nat::testing_support::fix_checksums(packet);
  return true;
}

class Maker {
 public:
  Maker(const Ends& ends, std::uint64_t seed, const Take& take)
      : ends_(ends), bases_(ends), rng_(seed), take_(take) {}

  void make_all() {
    for (const Base& base : bases_.all()) {
      take_({base.name, "unchanged", 0}, base.bytes);
      change_fields(base);
      change_addresses(base);
      cut_off(base);
    }
    make_ip4_options();
    make_tcp_options();
    make_extensions();
    make_random();
  }

 private:
  void offer(const Origin& origin, Packet packet) {
    packet.resize(std::min(packet.size(), kMaxPacketBytes));
    take_(origin, packet);
    if (put_checksums_right(packet)) take_(origin, packet);
  }

  static bool lies_within(const Base& base, const Header& header, const Field& field) {
    return header.at * 8 + field.bit + field.bits <= base.bytes.size() * 8;
  }

  void change_fields(const Base& base) {
    for (const Header& header : base.headers) {
      for (const Field& field : header.fields) {
        if (!lies_within(base, header, field)) continue;
        const std::size_t bit = header.at * 8 + field.bit;
        for (const std::uint64_t value :
             extremes(read_bits(base.bytes, bit, field.bits), field.bits)) {
          Packet packet = base.bytes;
          write_bits(packet, bit, field.bits, value);
          offer({base.name, field.name, value}, std::move(packet));
        }
      }
    }
  }

  // Addresses that nobody may have, that are special, or that are somebody else's.
  [[nodiscard]] std::vector<net::IpAddress> odd_addresses(bool v6) const {
    std::vector<net::IpAddress> odd = {v6 ? ends_.from6 : ends_.from4, v6 ? ends_.to6 : ends_.to4};
    std::ranges::copy_if(ends_.others, std::back_inserter(odd),
                         [&](const net::IpAddress& other) { return other.is_v4() != v6; });
    constexpr std::string_view kSpecial4[] = {"0.0.0.0",         "127.0.0.1", "10.0.0.1",
                                              "169.254.1.1",     "224.0.0.1", "240.0.0.1",
                                              "255.255.255.255", "100.64.0.1"};
    constexpr std::string_view kSpecial6[] = {"::",
                                              "::1",
                                              "::ffff:192.0.2.1",
                                              "fe80::1",
                                              "ff02::1",
                                              "ff0e::1",
                                              "fd00::1",
                                              "2002::1",
                                              "64:ff9b::1",
                                              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    for (const std::string_view text :
         v6 ? std::span<const std::string_view>(kSpecial6) : kSpecial4)
      odd.push_back(address(text));
    return odd;
  }

  void change_addresses(const Base& base) {
    for (const Header& header : base.headers) {
      const bool v6 = header.fields.data() == kIp6Fields;
      if (!v6 && header.fields.data() != kIp4Fields) continue;
      const std::size_t bytes = v6 ? 16 : 4;
      for (const std::size_t at : {header.at + (v6 ? 8 : 12), header.at + (v6 ? 24 : 16)}) {
        std::uint64_t number = 0;
        for (const net::IpAddress& odd : odd_addresses(v6)) {
          Packet packet = base.bytes;
          std::copy_n(odd.bytes.begin(), bytes, packet.begin() + static_cast<std::ptrdiff_t>(at));
          offer({base.name, at < header.at + 16 ? "source" : "destination", number++},
                std::move(packet));
        }
      }
    }
  }

  // The lengths in the headers as they were, and as they would be.
  void cut_off(const Base& base) {
    const bool v6 = base.bytes[0] >> 4 == 6;
    for (std::size_t bytes = 0; bytes < base.bytes.size(); ++bytes) {
      Packet packet(base.bytes.begin(), base.bytes.begin() + static_cast<std::ptrdiff_t>(bytes));
      take_({base.name, "cut off", bytes}, packet);
      if (bytes < (v6 ? 40U : 20U)) continue;
      write_bits(packet, v6 ? 32 : 16, 16, v6 ? bytes - 40 : bytes);
      offer({base.name, "cut off, and says so", bytes}, std::move(packet));
    }
  }

  static constexpr std::array<std::uint8_t, 9> kOptionLengths = {0, 1, 2, 3, 4, 39, 40, 41, 255};

  // Forty bytes of options that begin with one of the given kind and length.
  static Packet options(std::uint8_t kind, std::uint8_t length) {
    Packet bytes(40, 0x5a);
    bytes[0] = kind;
    bytes[1] = length;
    return bytes;
  }

  void make_ip4_options() {
    for (unsigned kind = 0; kind < 256; ++kind) {
      for (const std::uint8_t length : kOptionLengths) {
        PacketSpec spec = spec_between(ends_, false, net::kProtocolUdp);
        spec.ip_options = options(static_cast<std::uint8_t>(kind), length);
        take_({"udp4", "IPv4 option", kind << 8 | length}, build(spec));
      }
    }
  }

  void make_tcp_options() {
    for (unsigned kind = 0; kind < 256; ++kind) {
      for (const std::uint8_t length : kOptionLengths) {
        PacketSpec spec = spec_between(ends_, kind % 2 != 0, net::kProtocolTcp);
        spec.tcp_flags = net::kTcpSyn;
        spec.tcp_options = options(static_cast<std::uint8_t>(kind), length);
        take_({"tcp", "TCP option", kind << 8 | length}, build(spec));
      }
    }
  }

  // Chains of up to twelve headers, of kinds and stated lengths by chance, before UDP.
  void make_extensions() {
    constexpr std::array<std::uint8_t, 10> kKinds = {0, 43, 44, 50, 51, 59, 60, 135, 139, 253};
    constexpr std::array<std::uint8_t, 6> kLengths = {0, 0, 0, 1, 4, 255};
    for (std::uint64_t number = 0; number < 20'000; ++number) {
      PacketSpec spec = spec_between(ends_, true, net::kProtocolUdp);
      spec.first_extension = kKinds[rng_.below(kKinds.size())];
      const std::uint64_t count = 1 + rng_.below(12);
      for (std::uint64_t i = 0; i < count; ++i) {
        const bool last = i + 1 == count;
        const std::uint8_t next = last ? spec.protocol : kKinds[rng_.below(kKinds.size())];
        Packet extension(8, static_cast<std::uint8_t>(rng_.below(3)));
        extension[0] = next;
        extension[1] = kLengths[rng_.below(kLengths.size())];
        spec.extensions.insert(spec.extensions.end(), extension.begin(), extension.end());
      }
      take_({"udp6", "extension headers", number}, chain(spec));
    }
  }

  // As build(), which wants chains that can be followed.
  static Packet chain(const PacketSpec& spec) {
    PacketSpec plain = spec;
    plain.extensions.clear();
    Packet packet = build(plain);
    packet.insert(packet.begin() + net::Ip6View::kHeaderBytes, spec.extensions.begin(),
                  spec.extensions.end());
    packet[net::Ip6View::kNextHeaderAt] = spec.first_extension;
    write_bits(packet, 32, 16, packet.size() - net::Ip6View::kHeaderBytes);
    return packet;
  }

  // Several fields at once, bits flipped, the end cut off or grown.
  void make_random() {
    for (std::uint64_t number = 0; number < kRandomPackets; ++number) {
      const Base& base = bases_.all()[rng_.below(bases_.all().size())];
      Packet packet = base.bytes;
      for (std::uint64_t i = rng_.below(kRandomChanges) + 1; i > 0; --i)
        change_at_random(base, packet);
      if (rng_.below(8) == 0) packet.resize(rng_.below(packet.size() + 1));
      if (rng_.below(8) == 0) packet.resize(packet.size() + rng_.below(64), 0xa5);
      offer({base.name, "random", number}, std::move(packet));
    }
  }

  void change_at_random(const Base& base, Packet& packet) {
    if (rng_.below(4) == 0) {
      packet[rng_.below(packet.size())] ^= static_cast<std::uint8_t>(1U << rng_.below(8));
      return;
    }
    const Header& header = base.headers[rng_.below(base.headers.size())];
    const Field& field = header.fields[rng_.below(header.fields.size())];
    if (!lies_within(base, header, field)) return;
    const std::size_t bit = header.at * 8 + field.bit;
    const auto values = extremes(read_bits(base.bytes, bit, field.bits), field.bits);
    write_bits(packet, bit, field.bits, values[rng_.below(values.size())]);
  }

  const Ends& ends_;
  Bases bases_;
  SeededRng rng_;
  const Take& take_;
};

Packet with_header(std::uint16_t type, ConstBytes packet) {
  Packet frame(12, 2);
  frame.push_back(static_cast<std::uint8_t>(type >> 8));
  frame.push_back(static_cast<std::uint8_t>(type));
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

std::uint16_t type_of(ConstBytes packet) {
  return !packet.empty() && packet[0] >> 4 == 6 ? net::kEtherTypeIpv6 : net::kEtherTypeIpv4;
}

void change_ethernet(const Base& base, const Take& take) {
  const Packet whole = with_header(type_of(base.bytes), base.bytes);
  for (const Field& field : kEthernetFields) {
    for (const std::uint64_t value :
         extremes(read_bits(whole, field.bit, field.bits), field.bits)) {
      Packet frame = whole;
      write_bits(frame, field.bit, field.bits, value);
      take({base.name, field.name, value}, frame);
    }
  }
  constexpr std::uint16_t kTypes[] = {0x8100, 0x88a8, 0x9100, 0x0806, 0x8847, 0x8864, 0x88cc};
  for (const std::uint16_t type : kTypes) {
    take({base.name, "Ethernet type", type}, with_header(type, base.bytes));
  }
}

// Up to four tags, cut off at each byte of them.
void change_tags(const Base& base, const Take& take) {
  constexpr std::uint16_t kControls[] = {0, 1, 0x0fff, 0x1000, 0xffff};
  constexpr std::uint16_t kOuterTypes[] = {net::kEtherTypeVlan, net::kEtherTypeServiceVlan};
  Packet tagged(base.bytes.begin(), base.bytes.end());
  for (unsigned tags = 1; tags <= 4; ++tags) {
    const std::uint16_t inner = tags == 1 ? type_of(base.bytes) : 0x8100;
    for (const std::uint16_t control : kControls) {
      Packet behind(4);
      store_be(behind.data(), control);
      store_be(behind.data() + 2, inner);
      behind.insert(behind.end(), tagged.begin(), tagged.end());
      for (const std::uint16_t outer : kOuterTypes)
        take({base.name, "tags", tags}, with_header(outer, behind));
      if (control == kControls[4]) tagged = behind;
    }
    const Packet frame = with_header(0x8100, tagged);
    for (std::size_t bytes = 0; bytes < 14U + 4 * tags; ++bytes)
      take({base.name, "tags cut off", bytes}, ConstBytes(frame).first(bytes));
  }
}

}  // namespace

std::string Origin::text() const {
  return std::string(base) + ": " + std::string(field) + " " + std::to_string(value);
}

void make_packets(const Ends& ends, std::uint64_t seed, const Take& take) {
  Maker(ends, seed, take).make_all();
}

void make_frames(const Ends& ends, std::uint64_t seed, const Take& take) {
  const Take framed = [&](const Origin& origin, ConstBytes packet) {
    take(origin, with_header(type_of(packet), packet));
  };
  make_packets(ends, seed, framed);
  const Bases bases(ends);
  for (const Base& base : bases.all()) {
    change_ethernet(base, take);
    change_tags(base, take);
  }
}

std::size_t read_frames(const std::string& path, const Take& take) {
  std::ifstream file(path);
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.rfind(": ");
    if (line.empty() || line[0] == '#' || colon == std::string::npos) continue;
    Packet frame;
    for (std::size_t at = colon + 2; at + 1 < line.size(); at += 2) {
      std::uint8_t byte = 0;
      std::from_chars(&line[at], &line[at] + 2, byte, 16);
      frame.push_back(byte);
    }
    take({std::string_view(line).substr(0, colon), "kept", count}, frame);
    ++count;
  }
  return count;
}

}  // namespace ringway::hostile
