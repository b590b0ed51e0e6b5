// SYNs from outside that no mapping let in. For six seconds nothing is said about them, because the
// subscriber's own SYN may be on its way: a simultaneous open must not be answered with an error.
// If it comes, the SYN is forgotten; if not, an ICMP error says so (RFC 5382 REQ-4). A bounded ring
// in order of arrival; what finds it full is forgotten at once.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dataplane/nat/flow.hpp"
#include "dataplane/nat/keyed_hash.hpp"

namespace ringway::nat {

// The four ends of a connection as the Internet sees it.
struct OuterConnection {
  const std::uint8_t* remote_address = nullptr;  // 4 or 16 bytes
  std::uint16_t remote_port = 0;
  std::uint16_t external_address = 0;
  std::uint16_t external_port = 0;
};

struct HeldSyn {
  Instant due;
  std::uint64_t connection = 0;  // 0: forgotten
  std::uint16_t external_address = 0;
  std::uint16_t bytes = 0;
  Flow flow;
  std::array<std::uint8_t, 128> packet{};  // its beginning

  [[nodiscard]] ConstBytes quote() const { return ConstBytes(packet).first(bytes); }
};

class HeldSyns {
 public:
  static constexpr std::size_t kCapacity = 256;
  static constexpr Duration kPatience = Duration::seconds(6);

  explicit HeldSyns(Rng& rng) : hash_(rng), ring_(kCapacity) {}

  void hold(ConstBytes packet, const Flow& flow, const OuterConnection& connection, Instant now);
  // The subscriber's own SYN went out.
  void forget(net::Family family, const OuterConnection& connection);
  // The next one whose time is up, else nullptr. Valid until the next hold().
  [[nodiscard]] const HeldSyn* take_due(Instant now);
  [[nodiscard]] Instant next_deadline() const {
    return count_ == 0 ? Instant::never() : ring_[first_].due;
  }

 private:
  [[nodiscard]] std::uint64_t name_of(net::Family family, const OuterConnection& connection) const;

  KeyedHash hash_;
  std::vector<HeldSyn> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace ringway::nat
