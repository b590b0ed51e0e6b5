// The allowed-IPs trie against a linear search, for any table.
// Input: prefixes of 18 bytes (flags, length, address); the lowest flag bit is the family, the next
// says that the address continues the previous one's prefix. The peer is the prefix's position.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "dataplane/tunnel/allowed_ips.hpp"

namespace {

using ringway::PeerId;
using ringway::net::Family;
using ringway::net::IpAddress;
using ringway::net::Prefix;
using ringway::tunnel::AllowedIp;
using ringway::tunnel::AllowedIps;

constexpr std::size_t kEntryBytes = 18;

void copy_bits(IpAddress& to, const IpAddress& from, unsigned begin, unsigned end) {
  for (unsigned bit = begin; bit < end; ++bit) {
    const unsigned mask = 0x80U >> bit % 8;
    auto& byte = to.bytes[bit / 8];
    byte = static_cast<std::uint8_t>((byte & ~mask) | (from.bytes[bit / 8] & mask));
  }
}

Prefix make_prefix(const std::uint8_t* data, const std::vector<AllowedIp>& earlier) {
  IpAddress address{.family = (data[0] & 1) == 0 ? Family::kIpv4 : Family::kIpv6};
  const unsigned width = address.bit_length();
  std::copy_n(data + 2, width / 8, address.bytes.begin());
  auto length = static_cast<unsigned>(data[1] % (width + 1));
  if ((data[0] & 2) != 0 && !earlier.empty() &&
      earlier.back().prefix.address.family == address.family) {
    const Prefix& outer = earlier.back().prefix;
    copy_bits(address, outer.address, 0, outer.length);
    length = std::max<unsigned>(length, outer.length);
  }
  copy_bits(address, IpAddress{}, length, width);
  return {address, static_cast<std::uint8_t>(length)};
}

PeerId naive_lookup(const std::vector<AllowedIp>& entries, const IpAddress& address) {
  const AllowedIp* best = nullptr;
  for (const AllowedIp& entry : entries) {
    if (!entry.prefix.contains(address)) continue;
    if (best == nullptr || entry.prefix.length >= best->prefix.length) best = &entry;
  }
  return best == nullptr ? PeerId::none() : best->peer;
}

void compare(const AllowedIps& table, const std::vector<AllowedIp>& entries,
             const IpAddress& address) {
  const PeerId found = address.is_v4() ? table.lookup_v4(address.bytes.data())
                                       : table.lookup_v6(address.bytes.data());
  CHECK(found == naive_lookup(entries, address));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<AllowedIp> entries;
  for (; size >= kEntryBytes; data += kEntryBytes, size -= kEntryBytes) {
    const PeerId peer{static_cast<std::uint32_t>(entries.size())};
    entries.push_back({make_prefix(data, entries), peer});
  }
  const AllowedIps table(entries);
  // At each prefix's first and last address, and one bit outside it.
  for (const AllowedIp& entry : entries) {
    const unsigned length = entry.prefix.length;
    IpAddress address = entry.prefix.address;
    compare(table, entries, address);
    IpAddress ones{.family = address.family};
    ones.bytes.fill(0xff);
    copy_bits(address, ones, length, address.bit_length());
    compare(table, entries, address);
    if (length == 0) continue;
    auto& byte = address.bytes[(length - 1) / 8];
    byte = static_cast<std::uint8_t>(byte ^ 0x80U >> (length - 1) % 8);
    compare(table, entries, address);
  }
  return 0;
}
