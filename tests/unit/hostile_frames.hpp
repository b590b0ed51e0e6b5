// Frames that a stranger may put on a gateway's wire, and packets that a subscriber may put into
// its tunnel: whole ones, each of their header fields at its extremes, headers cut off anywhere,
// options, extension headers and tags in numbers and lengths that nobody asked for, and a random
// lot of all that at once. The same ones for the same seed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"

namespace ringway::hostile {

// Where somebody listens, who may be reached.
struct Listeners {
  std::uint16_t udp_port = 0;
  std::uint16_t tcp_port = 0;
  std::uint16_t identifier = 0;  // of ICMP queries
};

// Who sends to whom, of each family. ICMP errors quote packets that went the other way.
struct Ends {
  net::IpAddress from4;
  net::IpAddress from6;
  net::IpAddress to4;
  net::IpAddress to6;
  std::uint16_t from_port = 0;
  Listeners listening4;
  Listeners listening6;
  std::uint16_t tunnel_port = 0;
  std::vector<net::IpAddress> others;  // whose addresses are worth a try
};

// How one came to be, for a failure's text.
struct Origin {
  std::string_view base;   // "tcp6"
  std::string_view field;  // that was changed: "IPv4 total length", "cut off", "random"
  std::uint64_t value = 0;
  [[nodiscard]] std::string text() const;
};

// `bytes`: until it returns.
using Take = std::function<void(const Origin& origin, ConstBytes bytes)>;

// IP packets, some of which are none any more. None is longer than 1,500 bytes.
void make_packets(const Ends& ends, std::uint64_t seed, const Take& take);
// Those in Ethernet frames, and Ethernet's own fields.
void make_frames(const Ends& ends, std::uint64_t seed, const Take& take);
// The kept ones, out of tests/vectors/hostile_frames.txt; how many. 0: it could not be read.
std::size_t read_frames(const std::string& path, const Take& take);

}  // namespace ringway::hostile
