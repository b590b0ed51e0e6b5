// Who sees all that passes between simulated nodes, without a part in it: the checkers' source.
#pragma once

#include "base/bytes.hpp"
#include "overlay/node_id.hpp"
#include "overlay/sim/connections.hpp"

namespace ringway::overlay::sim {

class Onlooker {
 public:
  virtual ~Onlooker() = default;
  virtual void on_sent(NodeIndex from, NodeIndex to, ConstBytes message) = 0;
  // A node calls an address; beyond the last node there is nobody.
  virtual void on_open(NodeIndex from, NodeIndex to) = 0;
  // A node found a signed text authentic and takes it for new.
  virtual void on_accepted(NodeIndex by, const NodeId& signer, ConstBytes text) = 0;
};

}  // namespace ringway::overlay::sim
