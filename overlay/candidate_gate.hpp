// Which of the addresses that others name this node calls. One place for all calls:
// an address is refused for what it is, or because it, or all addresses together, were called too
// often of late. So nobody can make a node call itself, its network or a third.
#pragma once

#include <optional>
#include <vector>

#include "base/net/address_scope.hpp"
#include "base/time.hpp"
#include "overlay/burst_limits.hpp"
#include "overlay/contact.hpp"
#include "overlay/drops.hpp"

namespace ringway::overlay {

// Where this node is, as far as addresses depend on it.
struct Networks {
  std::vector<net::Prefix> tunnel;   // inside addresses: never called
  std::vector<net::Prefix> on_link;  // of the node's own interfaces, the tunnel's left out
};

// Why that address is not to be called; empty: it may be.
[[nodiscard]] std::optional<Drop> refusal_of(const net::Endpoint& endpoint,
                                             const Networks& networks);

struct CallLimits {
  // Of one address: a call is a handshake's initiation every 5 s, or two a second through NATs, for
  // 10 s. 12 at once are the members behind one NAT that a node may have to call; more than one in
  // 5 s would be a flood when many nodes are told the same.
  BurstLimit a_target = {12, Duration::seconds(5), 160};
  // Of all together. Who joins 10,000 nodes calls some 30 addresses in its first seconds.
  BurstLimit in_all = {128, Duration::milliseconds(250), 1};
};

class CandidateGate {
 public:
  // limits: must outlive this.
  explicit CandidateGate(const CallLimits& limits) : limits_(limits), a_target_(limits.a_target) {}

  // Those of the addresses that may be called now, which counts; the others are counted as drops.
  [[nodiscard]] Candidates pass(const Candidates& candidates, const Networks& networks, Instant now,
                                DropCounters& drops);
  void forget(Instant now) { a_target_.forget(now); }
  [[nodiscard]] std::size_t targets() const { return a_target_.size(); }

 private:
  const CallLimits& limits_;
  BurstLimits<net::IpAddress> a_target_;
  BurstBucket in_all_;
};

}  // namespace ringway::overlay
