#include "controlplane/host/route_messages.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

namespace ringway::control::route_message {
namespace {

constexpr unsigned kLowerUp = 0x10000;  // IFF_LOWER_UP of linux/if.h, which clashes with net/if.h
constexpr unsigned kUsableStates =
    NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

constexpr std::size_t kAttributeHeader = sizeof(nlattr);
constexpr unsigned kTypeMask = 0x3fff;  // NLA_TYPE_MASK: without the flags

constexpr std::size_t aligned(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

// The fixed part of a body, and what follows it.
template <typename Fixed>
bool read_fixed(ConstBytes body, Fixed& fixed, ConstBytes& attributes) {
  if (body.size() < sizeof fixed) return false;
  std::memcpy(&fixed, body.data(), sizeof fixed);
  attributes = body.subspan(std::min(aligned(sizeof fixed), body.size()));
  return true;
}

// Calls visit(type, value), which says whether the value is well formed, for each attribute; false
// where one is cut off or malformed.
template <typename Visit>
bool for_each_attribute(ConstBytes bytes, Visit&& visit) {
  while (!bytes.empty()) {
    if (bytes.size() < kAttributeHeader) return false;
    const std::size_t length = load_le<std::uint16_t>(bytes.data());
    const unsigned type = load_le<std::uint16_t>(bytes.data() + 2) & kTypeMask;
    if (length < kAttributeHeader || length > bytes.size()) return false;
    if (!visit(type, bytes.first(length).subspan(kAttributeHeader))) return false;
    bytes = bytes.subspan(std::min(aligned(length), bytes.size()));
  }
  return true;
}

template <typename T>
bool read_number(ConstBytes value, T& number) {
  if (value.size() != sizeof number) return false;
  number = load_le<T>(value.data());
  return true;
}

bool read_address(ConstBytes value, net::Family family, net::IpAddress& address) {
  if (value.size() != (family == net::Family::kIpv4 ? 4U : 16U)) return false;
  address = family == net::Family::kIpv4 ? net::IpAddress::v4(value.data())
                                         : net::IpAddress::v6(value.data());
  return true;
}

bool read_optional_address(ConstBytes value, net::Family family,
                           std::optional<net::IpAddress>& address) {
  return read_address(value, family, address.emplace());
}

std::optional<net::Family> family_of(unsigned char number) {
  if (number == AF_INET) return net::Family::kIpv4;
  if (number == AF_INET6) return net::Family::kIpv6;
  return std::nullopt;
}

net::IpAddress any_address(net::Family family) {
  net::IpAddress address;
  address.family = family;
  return address;
}

void clear_host_bits(net::Prefix& prefix) {
  for (std::size_t i = 0; i < prefix.address.bytes.size(); ++i) {
    const std::size_t kept = std::clamp<std::size_t>(prefix.length, i * 8, i * 8 + 8) - i * 8;
    prefix.address.bytes[i] = static_cast<std::uint8_t>(prefix.address.bytes[i] & 0xff00U >> kept);
  }
}

// --- links -----------------------------------------------------------------------------------

bool read_vlan_data(ConstBytes data, net::VlanTag& tag) {
  tag.protocol = net::kEtherTypeVlan;
  return for_each_attribute(data, [&](unsigned type, ConstBytes value) {
    if (type == IFLA_VLAN_ID) return read_number(value, tag.control);
    if (type != IFLA_VLAN_PROTOCOL) return true;
    if (!read_number(value, tag.protocol)) return false;
    tag.protocol = byte_swap(tag.protocol);  // in network order, alone of all
    return true;
  });
}

bool read_link_info(ConstBytes info, net::VlanTag& tag) {
  bool is_vlan = false;
  ConstBytes data;
  const bool whole = for_each_attribute(info, [&](unsigned type, ConstBytes value) {
    if (type == IFLA_INFO_KIND) {
      const std::string_view kind(reinterpret_cast<const char*>(value.data()), value.size());
      is_vlan = kind == std::string_view("vlan\0", 5);
    }
    if (type == IFLA_INFO_DATA) data = value;
    return true;
  });
  return whole && (!is_vlan || read_vlan_data(data, tag));
}

// Of the families' nests that of IPv6, and in it an array of settings by number.
bool read_mtu_v6(ConstBytes families, std::uint32_t& mtu) {
  const auto read_settings = [&](unsigned type, ConstBytes value) {
    constexpr std::size_t at = DEVCONF_MTU6 * sizeof mtu;
    if (type == IFLA_INET6_CONF && value.size() >= at + sizeof mtu) {
      mtu = load_le<std::uint32_t>(value.data() + at);
    }
    return true;
  };
  return for_each_attribute(families, [&](unsigned family, ConstBytes value) {
    return family != AF_INET6 || for_each_attribute(value, read_settings);
  });
}

Message parse_link(bool removed, ConstBytes body) {
  ifinfomsg fixed{};
  ConstBytes attributes;
  if (!read_fixed(body, fixed, attributes)) return Malformed{};
  // Other families speak of IPv6 settings and of bridge ports, not of the link.
  if (fixed.ifi_family == AF_INET6 && !removed) return Ipv6Settings{};
  if (fixed.ifi_family != AF_UNSPEC) return Ignored{};
  if (fixed.ifi_index <= 0) return Malformed{};
  Link link;
  link.removed = removed;
  link.index = static_cast<std::uint32_t>(fixed.ifi_index);
  link.ethernet = fixed.ifi_type == ARPHRD_ETHER;
  link.up = (fixed.ifi_flags & IFF_UP) != 0;
  link.carrier = (fixed.ifi_flags & kLowerUp) != 0;
  bool lower_elsewhere = false;
  const bool whole = for_each_attribute(attributes, [&](unsigned type, ConstBytes value) {
    switch (type) {
      case IFLA_IFNAME: {
        const auto* text = reinterpret_cast<const char*>(value.data());
        link.name.assign(text, ::strnlen(text, value.size()));
        return true;
      }
      case IFLA_ADDRESS:
        if (value.size() == net::kMacBytes) link.mac = net::MacAddress::from(value.data());
        return true;
      case IFLA_MTU:
        return read_number(value, link.mtu);
      case IFLA_LINK:
        return read_number(value, link.lower);
      case IFLA_LINK_NETNSID:
        lower_elsewhere = true;
        return true;
      case IFLA_AF_SPEC:
        return read_mtu_v6(value, link.mtu_v6);
      case IFLA_LINKINFO:
        return read_link_info(value, link.vlan);
      default:
        return true;
    }
  });
  if (!whole) return Malformed{};
  if (lower_elsewhere) link.lower = 0;
  return link;
}

// --- addresses -------------------------------------------------------------------------------

Message parse_address(bool removed, ConstBytes body) {
  ifaddrmsg fixed{};
  ConstBytes attributes;
  if (!read_fixed(body, fixed, attributes)) return Malformed{};
  const auto family = family_of(fixed.ifa_family);
  if (!family) return Ignored{};
  Address address;
  address.removed = removed;
  address.interface = fixed.ifa_index;
  address.length = fixed.ifa_prefixlen;
  // IFA_LOCAL is ours where both are there: on a point-to-point link IFA_ADDRESS is the peer's.
  std::optional<net::IpAddress> ours;
  std::optional<net::IpAddress> other;
  const bool whole = for_each_attribute(attributes, [&](unsigned type, ConstBytes value) {
    if (type == IFA_LOCAL) return read_optional_address(value, *family, ours);
    if (type == IFA_ADDRESS) return read_optional_address(value, *family, other);
    return true;
  });
  if (!ours) ours = other;
  if (!whole || !ours || address.length > ours->bit_length()) return Malformed{};
  address.address = *ours;
  return address;
}

// --- routes ----------------------------------------------------------------------------------

std::optional<RouteType> route_type(unsigned char number) {
  switch (number) {
    case RTN_UNICAST:
      return RouteType::kUnicast;
    case RTN_LOCAL:
    case RTN_ANYCAST:
      return RouteType::kLocal;
    case RTN_BLACKHOLE:
    case RTN_BROADCAST:
    case RTN_MULTICAST:
      return RouteType::kBlackhole;
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
    case RTN_THROW:
      return RouteType::kUnreachable;
    default:
      return std::nullopt;
  }
}

// What a route of one path and each path of a route of several have in common.
bool read_hop_attribute(unsigned type, ConstBytes value, net::Family family, RouteHop& hop) {
  switch (type) {
    case RTA_GATEWAY:
      return read_optional_address(value, family, hop.gateway);
    case RTA_VIA:
    case RTA_ENCAP:
      hop.foreign = true;
      return true;
    default:
      return true;
  }
}

bool read_paths(ConstBytes bytes, net::Family family, std::vector<RouteHop>& hops) {
  while (!bytes.empty()) {
    rtnexthop fixed{};
    if (bytes.size() < sizeof fixed) return false;
    std::memcpy(&fixed, bytes.data(), sizeof fixed);
    if (fixed.rtnh_len < sizeof fixed || fixed.rtnh_len > bytes.size()) return false;
    RouteHop hop;
    hop.interface = static_cast<std::uint32_t>(fixed.rtnh_ifindex);
    const ConstBytes attributes = bytes.first(fixed.rtnh_len).subspan(sizeof fixed);
    if (!for_each_attribute(attributes, [&](unsigned type, ConstBytes value) {
          return read_hop_attribute(type, value, family, hop);
        })) {
      return false;
    }
    hops.push_back(hop);
    bytes = bytes.subspan(std::min(aligned(fixed.rtnh_len), bytes.size()));
  }
  return true;
}

bool read_metrics(ConstBytes metrics, std::uint32_t& mtu) {
  return for_each_attribute(metrics, [&](unsigned type, ConstBytes value) {
    return type != RTAX_MTU || read_number(value, mtu);
  });
}

bool read_route_attributes(ConstBytes attributes, net::Family family, Route& route,
                           std::uint32_t& table) {
  RouteHop single;
  const bool whole = for_each_attribute(attributes, [&](unsigned type, ConstBytes value) {
    switch (type) {
      case RTA_DST:
        return read_address(value, family, route.destination.address);
      case RTA_TABLE:
        return read_number(value, table);
      case RTA_PRIORITY:
        return read_number(value, route.metric);
      case RTA_OIF:
        return read_number(value, single.interface);
      case RTA_METRICS:
        return read_metrics(value, route.mtu);
      case RTA_MULTIPATH:
        return read_paths(value, family, route.hops);
      default:
        return read_hop_attribute(type, value, family, single);
    }
  });
  if (!whole) return false;
  if (route.hops.empty() && single.interface != 0) route.hops.push_back(single);
  if (route.type != RouteType::kUnicast) route.hops.clear();  // IPv6 says loopback here
  return true;
}

Message parse_route(bool removed, std::uint16_t flags, ConstBytes body) {
  rtmsg fixed{};
  ConstBytes attributes;
  if (!read_fixed(body, fixed, attributes)) return Malformed{};
  const auto family = family_of(fixed.rtm_family);
  const auto type = route_type(fixed.rtm_type);
  if (!family || !type || (fixed.rtm_flags & RTM_F_CLONED) != 0) return Ignored{};
  Route route;
  route.removed = removed;
  route.replaces = (flags & NLM_F_REPLACE) != 0;
  route.type = *type;
  route.conditional = fixed.rtm_tos != 0 || fixed.rtm_src_len != 0;
  route.destination = {any_address(*family), fixed.rtm_dst_len};
  if (route.destination.length > route.destination.address.bit_length()) return Malformed{};
  std::uint32_t table = fixed.rtm_table;
  if (!read_route_attributes(attributes, *family, route, table)) return Malformed{};
  if (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) return Ignored{};
  route.local_table = table == RT_TABLE_LOCAL;
  clear_host_bits(route.destination);
  return route;
}

// --- neighbours ------------------------------------------------------------------------------

Message parse_neighbour(bool removed, ConstBytes body) {
  ndmsg fixed{};
  ConstBytes attributes;
  if (!read_fixed(body, fixed, attributes)) return Malformed{};
  const auto family = family_of(fixed.ndm_family);
  if (!family || (fixed.ndm_flags & NTF_PROXY) != 0) return Ignored{};
  Neighbour neighbour;
  neighbour.removed = removed;
  neighbour.who.interface = static_cast<std::uint32_t>(fixed.ndm_ifindex);
  neighbour.stale = (fixed.ndm_state & NUD_STALE) != 0;
  bool has_address = false;
  const bool whole = for_each_attribute(attributes, [&](unsigned type, ConstBytes value) {
    if (type == NDA_DST) {
      has_address = true;
      return read_address(value, *family, neighbour.who.address);
    }
    if (type == NDA_LLADDR && value.size() == net::kMacBytes) {
      neighbour.mac = net::MacAddress::from(value.data());
    }
    return true;
  });
  if (!whole || !has_address) return Malformed{};
  const bool usable = !removed && (fixed.ndm_state & kUsableStates) != 0;
  if (!usable || (neighbour.mac && neighbour.mac->is_group())) neighbour.mac.reset();
  return neighbour;
}

// Of an error and of a dump's end alike: 0, or a negative errno value. An end may go without.
Message parse_status(ConstBytes body, bool is_end) {
  std::int32_t error = 0;
  if (body.size() >= sizeof error) {
    std::memcpy(&error, body.data(), sizeof error);
  } else if (!is_end) {
    return Malformed{};
  }
  constexpr std::int32_t last_errno = 4095;  // MAX_ERRNO of Linux
  if (error > 0 || error < -last_errno) return Malformed{};
  if (is_end && error == 0) return DumpEnd{};
  return Refusal{-error};
}

}  // namespace

bool Reader::next(Header& header, ConstBytes& body) {
  if (rest_.empty()) return false;
  nlmsghdr raw{};
  cut_off_ = rest_.size() < sizeof raw;
  if (cut_off_) return false;
  std::memcpy(&raw, rest_.data(), sizeof raw);
  cut_off_ = raw.nlmsg_len < sizeof raw || raw.nlmsg_len > rest_.size();
  if (cut_off_) return false;
  header = {raw.nlmsg_type, raw.nlmsg_flags, raw.nlmsg_seq, raw.nlmsg_pid};
  body = rest_.first(raw.nlmsg_len).subspan(sizeof raw);
  rest_ = rest_.subspan(std::min(aligned(raw.nlmsg_len), rest_.size()));
  return true;
}

Message parse(const Header& header, ConstBytes body) {
  switch (header.type) {
    case NLMSG_DONE:
    case NLMSG_ERROR:
      return parse_status(body, header.type == NLMSG_DONE);
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return parse_link(header.type == RTM_DELLINK, body);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return parse_address(header.type == RTM_DELADDR, body);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return parse_route(header.type == RTM_DELROUTE, header.flags, body);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return parse_neighbour(header.type == RTM_DELNEIGH, body);
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP:
      return NextHopObject{};
    default:
      return Ignored{};
  }
}

}  // namespace ringway::control::route_message
