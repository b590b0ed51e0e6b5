// What the NAT knows of the TCP connections of one mapping: enough to choose between the long and
// the short idle timer (RFC 5382 REQ-5, RFC 7857 section 2). A mapping is one inner endpoint; when
// it has talked to several remote endpoints, closing one connection says nothing about the others,
// and the mapping stays established.
//
//              SYN out                  anything in but RST
//   idle ────────────────► syn_out ─────────────────────────► established ◄───── anything but
//    │  SYN in                  anything out but RST            │  ▲    │         RST
//    └───────────────────► syn_in ────────────────────────────►┘  │    │ RST       │
//                                                FIN out / FIN in  │    └────► reset ─┘
//                                                     ▼            │
//                                   fin_out / fin_in ─┘ FIN of the other side ─► closing
//
// A SYN from either side opens closing and reset anew. Timers: established, fin_out and fin_in the
// long one; the rest the short one, and in closing packets do not start it again.
#pragma once

#include <cstdint>

#include "base/net/tcp.hpp"

namespace ringway::nat {

// The first three need no look at packets without SYN, FIN and RST.
enum class TcpState : std::uint8_t {
  kEstablished,
  kFinOut,
  kFinIn,
  kIdle,
  kSynOut,
  kSynIn,
  kClosing,
  kReset,
};

enum class Way : std::uint8_t { kOut, kIn };

[[nodiscard]] constexpr bool has_long_timer(TcpState state) {
  return state <= TcpState::kFinIn;
}
inline constexpr std::uint8_t kTcpTurningFlags = net::kTcpSyn | net::kTcpFin | net::kTcpRst;
// Whether a packet changes nothing but the time of last use.
[[nodiscard]] constexpr bool is_plain_progress(TcpState state, std::uint8_t tcp_flags) {
  return has_long_timer(state) && (tcp_flags & kTcpTurningFlags) == 0;
}

namespace detail {
[[nodiscard]] constexpr TcpState after_syn(TcpState state, Way way) {
  const bool fresh =
      state == TcpState::kIdle || state == TcpState::kClosing || state == TcpState::kReset;
  if (fresh) return way == Way::kOut ? TcpState::kSynOut : TcpState::kSynIn;
  // The answer to a SYN, or its other half in a simultaneous open.
  if (state == TcpState::kSynOut && way == Way::kIn) return TcpState::kEstablished;
  if (state == TcpState::kSynIn && way == Way::kOut) return TcpState::kEstablished;
  return state;
}
[[nodiscard]] constexpr TcpState after_fin(TcpState state, Way way) {
  if (state == TcpState::kClosing) return state;
  const TcpState own = way == Way::kOut ? TcpState::kFinOut : TcpState::kFinIn;
  const TcpState other = way == Way::kOut ? TcpState::kFinIn : TcpState::kFinOut;
  return state == other ? TcpState::kClosing : own;
}
}  // namespace detail

[[nodiscard]] constexpr TcpState next_tcp_state(TcpState state, std::uint8_t tcp_flags, Way way) {
  if ((tcp_flags & net::kTcpRst) != 0) return TcpState::kReset;
  if ((tcp_flags & net::kTcpSyn) != 0) return detail::after_syn(state, way);
  if ((tcp_flags & net::kTcpFin) != 0) return detail::after_fin(state, way);
  switch (state) {
    case TcpState::kIdle:  // a connection older than this mapping
      return way == Way::kOut ? TcpState::kSynOut : TcpState::kSynIn;
    case TcpState::kSynOut:
      return way == Way::kIn ? TcpState::kEstablished : state;
    case TcpState::kSynIn:
      return way == Way::kOut ? TcpState::kEstablished : state;
    case TcpState::kReset:  // the reset was not believed (RFC 7857 section 2.2)
      return TcpState::kEstablished;
    default:
      return state;
  }
}

}  // namespace ringway::nat
