// At which address others see this node: what it needs to know behind a NAT, to tell those whom it
// asks to call it. Each neighbour says what it sees. An address that two of them name becomes a
// candidate; where they agree on the address but not on the port, a NAT gives each destination
// another, and only who does not look at the port can be reached there (RFC 4787 section 4.1).
#pragma once

#include <vector>

#include "overlay/core.hpp"

namespace ringway::overlay {

class ObservedAddresses {
 public:
  explicit ObservedAddresses(Core& core) : core_(core) {}

  void add(const NodeId& reporter, const net::Endpoint& endpoint);

 private:
  static constexpr std::size_t kKept = 4;
  struct Report {
    NodeId reporter;
    net::Endpoint endpoint;
  };
  void offer(const net::Endpoint& endpoint);

  Core& core_;
  std::vector<Report> reports_;       // the latest, of different reporters; oldest first
  std::vector<net::Endpoint> added_;  // to the candidates, by us
};

}  // namespace ringway::overlay
