// ICMP errors, on the NAT's slow path: those it sends itself, and those about translated packets,
// which quote the packet as the reporter saw it and must come to its sender as he sent it.
//
//            subscriber          NAT            reporter
//   packet     a:1 ──────────► x:9 ──────────►
//   error         ◄── to a ───── ◄── to x ─────        outer destination and the quoted source
//               quotes a:1           quotes x:9         change: x:9 becomes a:1
//
// An error from a subscriber about what came from outside is the mirror image: the quoted
// destination and the outer source change.
//
// Sources: RFC 792, 4443 (formats), RFC 1122 section 3.2.2 and RFC 1812 section 4.3.2 (when to send
// and how much to quote), RFC 5508 section 4 (translation), RFC 4884 (extensions).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "dataplane/nat/flow.hpp"
#include "dataplane/nat/nat_drops.hpp"

namespace ringway::nat {

// What the NAT has to say; each has its type and code in both families.
enum class Report : std::uint8_t {
  kTtlExpired,
  kTooBig,  // with the MTU of the way out
  kHostUnreachable,
  kPortUnreachable,
  kProhibited,
};

// Bytes of the whole IP packet.
inline constexpr std::size_t kMaxIcmp4ErrorBytes = 576;
inline constexpr std::size_t kMaxIcmp6ErrorBytes = 1280;

// Whether an error about this packet may be sent: not about ICMP errors and what else of ICMP is no
// query, later fragments, packets to more than one host or from an address that is no host's.
[[nodiscard]] bool may_report(ConstBytes packet, const Flow& flow);

// Writes an error from `from`, of the packet's family, to the packet's source. `packet` is as its
// sender sent it. mtu: for kTooBig. out: room for the limit of the family. Returns the bytes of
// the error, 0 when !may_report().
[[nodiscard]] std::size_t emit_icmp_error(ConstBytes packet, const Flow& flow, Report report,
                                          const net::IpAddress& from, std::uint16_t mtu, Bytes out);

// The packet that an error quotes. Its end may be cut off, so all that is promised are the ports
// or the identifier: flow.kind is kPlain or kFirstFragment; flow.checksum_at is zero where the
// checksum was cut off. Offsets in `flow` count from `at`.
struct Quote {
  Flow flow;
  std::uint16_t at = 0;     // from the start of the error
  std::uint16_t bytes = 0;  // of the quoted packet that are there
};

// Reads the quote of an error (flow.kind kIcmpError). False, and `why`, when a checksum that must
// be right is not (the error's own, the quoted IP header's), or when the quote is no packet that
// could have been translated.
[[nodiscard]] bool parse_icmp_error(ConstBytes packet, const Flow& flow, Quote& quote, Drop& why);

// Writes `address` and `port` into the quoted packet's `side`, and `address` into the opposite side
// of the error itself. All checksums that were right stay right; what follows the quoted headers,
// extensions included, stays as it is. address: 4 or 16 bytes.
void rewrite_icmp_error(std::uint8_t* packet, const Flow& flow, const Quote& quote, Side side,
                        const std::uint8_t* address, std::uint16_t port);

}  // namespace ringway::nat
