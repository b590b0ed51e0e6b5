// What a gateway keeps over a restart, as a file: the last endpoints of its peers, and the mappings
// of its NAT. Public keys name the peers; neither secret keys nor destinations are kept.
//
//   header   "RWKEPT01", wall clock and boot clock of the moment (ns), boot id, number of peers
//   peers    public key, endpoint, whether there was a session
//   mappings place of the peer in that list, protocol, inner and external endpoint, idle, remaining
//   trailer  number of mappings, checksum of everything before it
//
// Records of fixed length, little-endian. The checksum (FNV-1a, 64 bits) tells a file that a power
// cut has torn; who may write the file needs no such door. Pure functions: bytes in, values out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::control {

inline constexpr std::size_t kMaxKeptPeers = 65536;        // as kMaxPeers
inline constexpr std::size_t kMaxKeptMappings = 1U << 22;  // four times a NAT's default
inline constexpr std::size_t kKeptMappingBytes = 50;
inline constexpr std::size_t kMaxKeptBytes = 256U << 20;  // holds all of these

// The kernel's boot, /proc/sys/kernel/random/boot_id.
using BootId = std::array<std::uint8_t, 16>;

// A moment by both clocks. The boot clock tells the time between two moments of one boot exactly,
// whatever was done to the calendar meanwhile; over a reboot there is only the calendar.
struct KeptMoment {
  WallTime wall;
  Instant boot;
  BootId boot_id{};
};

// How much time has passed; nothing where that cannot be known, as when the calendar went back.
[[nodiscard]] std::optional<Duration> time_between(const KeptMoment& before, const KeptMoment& now);

struct KeptPeer {
  tunnel::PublicKey public_key{};
  net::Endpoint endpoint;    // port 0: none
  bool had_session = false;  // a live one
  bool operator==(const KeptPeer&) const = default;
};

struct KeptMapping {
  std::uint32_t peer = 0;  // a place in KeptState::peers
  std::uint8_t protocol = 0;
  net::Endpoint inner;  // as in nat::MappingRecord
  net::Endpoint external;
  Duration idle;  // in whole tenths of a second, as the next
  Duration expires_in;
  bool operator==(const KeptMapping&) const = default;
};

struct KeptState {
  KeptMoment moment;
  std::vector<KeptPeer> peers;
  std::vector<KeptMapping> mappings;
};

// Makes the file piece by piece; what each call returns is to be written at once, in order.
class KeptStateWriter {
 public:
  [[nodiscard]] ConstBytes begin(const KeptMoment& moment, const std::vector<KeptPeer>& peers);
  [[nodiscard]] ConstBytes add(const std::vector<KeptMapping>& mappings);
  [[nodiscard]] ConstBytes end();

 private:
  [[nodiscard]] ConstBytes summed();

  std::vector<std::uint8_t> buffer_;
  std::uint64_t sum_ = 0;
  std::uint32_t mappings_ = 0;
};

// Strict: every length, number and reserved byte must be right.
[[nodiscard]] Result<KeptState> parse_kept_state(ConstBytes file);

}  // namespace ringway::control
