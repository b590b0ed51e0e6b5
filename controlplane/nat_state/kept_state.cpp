#include "controlplane/nat_state/kept_state.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"

namespace ringway::control {
namespace {

constexpr std::string_view kMagic = "RWKEPT01";
constexpr std::size_t kHeaderBytes = 8 + 8 + 8 + 16 + 4;
constexpr std::size_t kPeerBytes = 32 + 1 + 1 + 2 + 16;
constexpr std::size_t kTrailerBytes = 4 + 8;
constexpr std::int64_t kTenthNs = 100'000'000;
constexpr std::int64_t kLongestTenths = 10 * 86400 * 7;  // a timer of a week is none of ours

constexpr std::uint64_t kFnvStart = 0xcbf2'9ce4'8422'2325;
constexpr std::uint64_t kFnvPrime = 0x0000'0100'0000'01b3;

std::uint64_t fnv1a(std::uint64_t sum, ConstBytes bytes) {
  for (const std::uint8_t byte : bytes)
    sum = (sum ^ byte) * kFnvPrime;
  return sum;
}

class Appender {
 public:
  explicit Appender(std::vector<std::uint8_t>& to) : to_(to) {}
  template <std::unsigned_integral T>
  void number(T value) {
    std::array<std::uint8_t, sizeof(T)> bytes;
    store_le(bytes.data(), value);
    this->bytes(bytes);
  }
  void bytes(ConstBytes bytes) {
    const std::size_t at = to_.size();
    to_.resize(at + bytes.size());
    std::memcpy(&to_[at], bytes.data(), bytes.size());
  }

 private:
  std::vector<std::uint8_t>& to_;
};

// What is read is there: lengths were checked before.
class Extractor {
 public:
  explicit Extractor(ConstBytes from) : from_(from) {}
  template <std::unsigned_integral T>
  T number() {
    return load_le<T>(take(sizeof(T)).data());
  }
  template <std::size_t kSize>
  void bytes(std::array<std::uint8_t, kSize>& out) {
    std::memcpy(out.data(), take(kSize).data(), kSize);
  }
  ConstBytes take(std::size_t size) {
    const ConstBytes taken = from_.first(size);
    from_ = from_.subspan(size);
    return taken;
  }

 private:
  ConstBytes from_;
};

// The bytes behind an IPv4 address are zero, so that one endpoint has one form.
bool is_canonical(const net::IpAddress& address) {
  return !address.is_v4() || std::all_of(address.bytes.begin() + 4, address.bytes.end(),
                                         [](std::uint8_t byte) { return byte == 0; });
}

bool read_family(std::uint8_t number, net::Family& family) {
  if (number != 4 && number != 6) return false;
  family = static_cast<net::Family>(number);
  return true;
}

bool read_peer(Extractor& from, KeptPeer& peer) {
  from.bytes(peer.public_key);
  const auto family = from.number<std::uint8_t>();
  const auto had_session = from.number<std::uint8_t>();
  peer.endpoint.port = from.number<std::uint16_t>();
  from.bytes(peer.endpoint.address.bytes);
  peer.had_session = had_session == 1;
  return had_session <= 1 && read_family(family, peer.endpoint.address.family) &&
         is_canonical(peer.endpoint.address) &&
         (peer.endpoint.valid() || peer.endpoint == net::Endpoint{});
}

bool is_query_protocol(std::uint8_t protocol, net::Family family) {
  return protocol == (family == net::Family::kIpv4 ? net::kProtocolIcmp : net::kProtocolIcmpv6);
}

bool read_mapping(Extractor& from, std::size_t peers, KeptMapping& mapping) {
  mapping.peer = from.number<std::uint32_t>();
  mapping.protocol = from.number<std::uint8_t>();
  net::Family family{};
  const bool has_family = read_family(from.number<std::uint8_t>(), family);
  for (net::Endpoint* endpoint : {&mapping.inner, &mapping.external}) {
    endpoint->address.family = family;
    from.bytes(endpoint->address.bytes);
    endpoint->port = from.number<std::uint16_t>();
  }
  const std::int64_t idle = from.number<std::uint32_t>();
  const std::int64_t rest = from.number<std::uint32_t>();
  mapping.idle = Duration::nanoseconds(idle * kTenthNs);
  mapping.expires_in = Duration::nanoseconds(rest * kTenthNs);
  const bool known = mapping.protocol == net::kProtocolTcp ||
                     mapping.protocol == net::kProtocolUdp ||
                     is_query_protocol(mapping.protocol, family);
  return has_family && known && mapping.peer < peers && is_canonical(mapping.inner.address) &&
         is_canonical(mapping.external.address) && mapping.external.valid() &&
         idle <= kLongestTenths && rest > 0 && rest <= kLongestTenths;
}

std::uint32_t tenths(Duration duration) {
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(duration.count_ns() / kTenthNs, 0, kLongestTenths));
}

tl::unexpected<Error> not_valid(const char* what) {
  return failure(std::string("the kept state is not valid: ") + what);
}

}  // namespace

std::optional<Duration> time_between(const KeptMoment& before, const KeptMoment& now) {
  const Duration passed = before.boot_id == now.boot_id
                              ? now.boot - before.boot
                              : Duration::nanoseconds(now.wall.unix_ns() - before.wall.unix_ns());
  if (passed < Duration{}) return std::nullopt;
  return passed;
}

ConstBytes KeptStateWriter::summed() {
  sum_ = fnv1a(sum_, buffer_);
  return buffer_;
}

ConstBytes KeptStateWriter::begin(const KeptMoment& moment, const std::vector<KeptPeer>& peers) {
  buffer_.clear();
  sum_ = kFnvStart;
  mappings_ = 0;
  Appender to(buffer_);
  to.bytes({reinterpret_cast<const std::uint8_t*>(kMagic.data()), kMagic.size()});
  to.number(static_cast<std::uint64_t>(moment.wall.unix_ns()));
  to.number(static_cast<std::uint64_t>(moment.boot.ns()));
  to.bytes(moment.boot_id);
  to.number(static_cast<std::uint32_t>(peers.size()));
  for (const KeptPeer& peer : peers) {
    to.bytes(peer.public_key);
    to.number(static_cast<std::uint8_t>(peer.endpoint.address.family));
    to.number(static_cast<std::uint8_t>(peer.had_session ? 1 : 0));
    to.number(peer.endpoint.port);
    to.bytes(peer.endpoint.address.bytes);
  }
  return summed();
}

ConstBytes KeptStateWriter::add(const std::vector<KeptMapping>& mappings) {
  buffer_.clear();
  Appender to(buffer_);
  for (const KeptMapping& mapping : mappings) {
    const std::uint32_t rest = tenths(mapping.expires_in);
    if (rest == 0 || mappings_ == kMaxKeptMappings) continue;
    ++mappings_;
    to.number(mapping.peer);
    to.number(mapping.protocol);
    to.number(static_cast<std::uint8_t>(mapping.inner.address.family));
    for (const net::Endpoint* endpoint : {&mapping.inner, &mapping.external}) {
      to.bytes(endpoint->address.bytes);
      to.number(endpoint->port);
    }
    to.number(tenths(mapping.idle));
    to.number(rest);
  }
  return summed();
}

ConstBytes KeptStateWriter::end() {
  buffer_.clear();
  Appender to(buffer_);
  to.number(mappings_);
  to.number(fnv1a(sum_, buffer_));
  return buffer_;
}

Result<KeptState> parse_kept_state(ConstBytes file) {
  if (file.size() < kHeaderBytes + kTrailerBytes) return not_valid("it is too short");
  if (std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) {
    return not_valid("it is of another version, or something else");
  }
  const std::size_t summed_bytes = file.size() - 8;
  if (fnv1a(kFnvStart, file.first(summed_bytes)) !=
      load_le<std::uint64_t>(file.data() + summed_bytes)) {
    return not_valid("its checksum is wrong");
  }
  Extractor from(file.subspan(kMagic.size()));
  KeptState state;
  const auto wall = from.number<std::uint64_t>();
  const auto boot = from.number<std::uint64_t>();
  if (wall > INT64_MAX || boot > INT64_MAX) return not_valid("its time is out of bounds");
  state.moment.wall = WallTime::from_unix_ns(static_cast<std::int64_t>(wall));
  state.moment.boot = Instant::from_ns(static_cast<std::int64_t>(boot));
  from.bytes(state.moment.boot_id);
  const std::size_t peers = from.number<std::uint32_t>();
  const std::size_t mappings = load_le<std::uint32_t>(file.data() + file.size() - kTrailerBytes);
  if (peers > kMaxKeptPeers || mappings > kMaxKeptMappings ||
      file.size() !=
          kHeaderBytes + peers * kPeerBytes + mappings * kKeptMappingBytes + kTrailerBytes) {
    return not_valid("its length is not that of what it holds");
  }
  state.peers.resize(peers);
  for (KeptPeer& peer : state.peers) {
    if (!read_peer(from, peer)) return not_valid("a peer's endpoint is none");
  }
  state.mappings.resize(mappings);
  for (KeptMapping& mapping : state.mappings) {
    if (!read_mapping(from, peers, mapping)) return not_valid("a mapping is none");
  }
  return state;
}

}  // namespace ringway::control
