// Keeps forwarding tables in step with the host's links, addresses, routes and neighbours: listens
// to rtnetlink, and makes a new table at once when something changed that matters. Has no thread:
// the control thread waits until fd() is readable or next_deadline() has come, calls
// handle_readable() or tick(), and then take_table().
//
//   subscribed ──► everything is listed once, part by part ──► first table
//        │  a change          applied to the mirror ──► table, gathered over 10 ms
//        │  an unclear one    the part is listed again
//        └─ lost messages     (ENOBUFS) everything is listed again
//
// While a part is being listed, changes to it are applied and also kept, and repeated on the new
// list at its end: whether an entry was listed before or after it changed, the last word counts.
//
// The kernel resolves neighbours for the packet path: gateways without being asked, others by
// want(). Those in use are kept fresh. Its own use of an entry is what moves it on (NTF_USE), so a
// stale entry goes through the kernel's usual probes. What is mirrored: route_state.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "controlplane/host/route_state.hpp"

namespace ringway::control {

struct RouteMirrorOptions {
  std::vector<CarriedInterface> interfaces;
  std::uint32_t receive_buffer_bytes = 8U << 20;
  // Lines for the log: what the mirror leaves to the kernel, each once.
  std::function<void(std::string_view)> on_notice;
};

struct RouteMirrorCounters {
  std::uint64_t messages = 0;   // understood or ignored
  std::uint64_t malformed = 0;  // not understood
  std::uint64_t lists = 0;      // parts that were asked for as a whole
  std::uint64_t overruns = 0;   // times that the kernel lost messages to us
  std::uint64_t tables = 0;
  std::uint64_t neighbours_asked = 0;
  std::uint64_t neighbours_not_asked = 0;  // over the limit: whoever wants them asks again
};

class RouteMirror {
 public:
  // Between two tables while changes keep coming; the first change after a pause has its table at
  // once. A table of many routes takes long to make (about 0.6 us a route), and the
  // control thread has other work: the pause grows with it.
  static constexpr Duration kCoalesce = Duration::milliseconds(10);
  static constexpr Duration kCoalesceOfRoute = Duration::nanoseconds(2'500);
  static constexpr Duration kMaxCoalesce = Duration::milliseconds(500);
  // Between two lists of the same part.
  static constexpr Duration kListInterval = Duration::milliseconds(100);
  // How long a neighbour is kept fresh after its last use.
  static constexpr Duration kUseMemory = Duration::seconds(60);
  // A gateway that did not answer is tried again; the kernel's own try takes three seconds.
  static constexpr Duration kAskAgain = Duration::seconds(5);
  // Requests to resolve, of everybody: a scan of a link must not become a storm on it.
  static constexpr std::uint32_t kAsksPerSecond = 200;
  static constexpr std::uint32_t kAskBurst = 64;

  // Subscribes and asks for everything, in the network namespace of the calling thread.
  [[nodiscard]] static Result<std::unique_ptr<RouteMirror>> open(RouteMirrorOptions options,
                                                                 Instant now);
  ~RouteMirror();
  RouteMirror(const RouteMirror&) = delete;
  RouteMirror& operator=(const RouteMirror&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  // Takes what waits, up to a bound; what is left makes next_deadline() due.
  void handle_readable(Instant now);
  void tick(Instant now);
  [[nodiscard]] Instant next_deadline() const;

  // The newest table, if there is one that was not taken yet; null otherwise, and before the first
  // list is complete.
  [[nodiscard]] std::shared_ptr<const forwarding::ForwardingTable> take_table();

  void set_interfaces(std::vector<CarriedInterface> interfaces, Instant now);

  // A packet waits for this neighbour (forwarding/pending.hpp: its `ask`).
  void want(const forwarding::Neighbour& neighbour, Instant now);
  // Packets were sent to it (forwarding/next_hop_use.hpp). Every ten seconds or so is enough.
  void note_use(const forwarding::Neighbour& neighbour, Instant now);

  // Of an interface, as the kernel has them now.
  [[nodiscard]] std::vector<LocalAddress> addresses(std::uint32_t interface) const {
    return state_.addresses(interface);
  }
  [[nodiscard]] const RouteState& state() const { return state_; }
  [[nodiscard]] const RouteMirrorCounters& counters() const { return counters_; }

 private:
  // A part that is being listed.
  struct Listing {
    RoutePart part{};
    std::uint32_t sequence = 0;
    RouteState fresh;
    std::vector<route_message::Message> meanwhile;
    bool interrupted = false;  // must be repeated
  };
  struct Use {
    Instant used_at = Instant::distant_past();
    Instant asked_at = Instant::distant_past();
  };

  RouteMirror(RouteMirrorOptions options, int fd, std::uint32_t port, Instant now);

  // route_mirror.cpp: from the socket into the mirror.
  [[nodiscard]] bool receive(Instant now);
  void take_datagram(ConstBytes datagram, Instant now);
  void take_answer(const route_message::Header& header, route_message::Message message,
                   Instant now);
  void take_change(route_message::Message message, Instant now);
  [[nodiscard]] RouteEffect apply(RouteState& state, const route_message::Message& message);
  void notice_unsupported(const route_message::Route& route);
  void notice(std::string text);

  // route_mirror.cpp: lists.
  void request_list(RoutePart part) { wanted_lists_ |= 1U << static_cast<unsigned>(part); }
  void request_routes();
  void request_everything();
  void start_list(Instant now);
  void finish_list(Instant now);
  [[nodiscard]] Instant list_due() const;

  // route_mirror.cpp: tables.
  void build_if_due(Instant now);

  // neighbour_requests.cpp
  void ask(const forwarding::Neighbour& neighbour, Instant now);
  void refresh(const forwarding::Neighbour& neighbour, Instant now);
  void tend_gateways(Instant now);
  [[nodiscard]] bool take_ask_token(Instant now);
  void forget_unused(Instant now);

  RouteMirrorOptions options_;
  int fd_;
  std::uint32_t port_;  // our netlink address
  std::uint32_t sequence_ = 0;
  std::vector<std::uint8_t> buffer_;
  bool more_waits_ = false;
  RouteState state_;
  RouteMirrorCounters counters_;
  std::set<std::string, std::less<>> noticed_;

  std::uint32_t wanted_lists_ = 0;   // bits of RoutePart
  std::uint32_t missing_parts_ = 0;  // those that were never listed
  std::unique_ptr<Listing> listing_;
  Instant last_list_[kRoutePartCount];

  bool changed_ = false;
  Instant last_build_ = Instant::distant_past();
  Duration build_pause_ = kCoalesce;
  Instant build_due_ = Instant::never();
  std::shared_ptr<const forwarding::ForwardingTable> table_;

  std::map<forwarding::Neighbour, Instant> gateways_;  // and when each was asked for
  Instant gateways_due_ = Instant::never();
  std::map<forwarding::Neighbour, Use> uses_;
  double ask_tokens_ = kAskBurst;
  Instant tokens_at_;
};

}  // namespace ringway::control
