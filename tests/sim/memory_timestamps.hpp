// Timestamps that outlive a node, though not the test.
#pragma once

#include <map>

#include "controlplane/tunnel_control/tunnel_service.hpp"

namespace ringway::sim {

class MemoryTimestamps final : public control::TimestampStore {
 public:
  void store_sent(const tunnel::Tai64n& timestamp) override { sent_ = timestamp; }
  void store_received(const tunnel::PublicKey& peer, const tunnel::Tai64n& timestamp) override {
    received_[peer] = timestamp;
  }
  tunnel::Tai64n last_sent() const override { return sent_; }
  tunnel::Tai64n last_received(const tunnel::PublicKey& peer) const override {
    const auto found = received_.find(peer);
    return found == received_.end() ? tunnel::Tai64n{} : found->second;
  }

 private:
  tunnel::Tai64n sent_{};
  std::map<tunnel::PublicKey, tunnel::Tai64n> received_;
};

}  // namespace ringway::sim
