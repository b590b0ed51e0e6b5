// A simulated NAT or firewall in front of one node: which port the node has outside, and what it
// lets in. Names and behaviours of RFC 4787, sections 4.1 (mapping) and 5 (filtering). What is not
// there: several nodes behind one NAT, hairpinning, ports that can be predicted.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"

namespace ringway::overlay::sim {

enum class Mapping : std::uint8_t {
  kNone,  // a firewall alone: the node's own address and port
  kEndpointIndependent,
  kAddressDependent,
  kAddressAndPortDependent
};
inline constexpr std::array<std::string_view, 4> kMappingNames = {
    "none", "endpoint-independent", "address-dependent", "address-and-port-dependent"};
enum class Filtering : std::uint8_t {
  kEndpointIndependent,
  kAddressDependent,
  kAddressAndPortDependent
};
inline constexpr std::array<std::string_view, 3> kFilteringNames = {
    "endpoint-independent", "address-dependent", "address-and-port-dependent"};

struct NatBehaviour {
  Mapping mapping = Mapping::kEndpointIndependent;
  Filtering filtering = Filtering::kAddressAndPortDependent;
  Duration timeout = Duration::seconds(120);  // after the last packet from inside; RFC 4787 REQ-5
  [[nodiscard]] bool operator==(const NatBehaviour&) const = default;
};

// What simulated nodes have in front of them: 82 % of NATs allow hole punching (Ford, Srisuresh,
// Kegel, "Peer-to-Peer Communication Across Network Address Translators", USENIX 2005), that is,
// map endpoint-independently; most of them filter by address and port. One in ten is a firewall.
[[nodiscard]] NatBehaviour draw_nat(Rng& rng);

class Nat {
 public:
  Nat(const NatBehaviour& behaviour, std::uint64_t seed) : behaviour_(behaviour), rng_(seed) {}

  struct Remote {
    std::uint32_t address = 0;
    std::uint16_t port = 0;
    [[nodiscard]] bool operator==(const Remote&) const = default;
  };
  // A packet goes out: the port that it comes from outside.
  [[nodiscard]] std::uint16_t outbound(Instant now, const Remote& to);
  // Whether a packet to that port outside is let in.
  [[nodiscard]] bool inbound(Instant now, std::uint16_t port, const Remote& from) const;

  [[nodiscard]] const NatBehaviour& behaviour() const { return behaviour_; }
  [[nodiscard]] std::size_t flows() const { return flows_.size(); }

 private:
  struct Flow {
    Remote remote;
    std::uint16_t port = 0;  // outside
    Instant last_out;
  };
  [[nodiscard]] bool alive(const Flow& flow, Instant now) const {
    return now < flow.last_out + behaviour_.timeout;
  }
  [[nodiscard]] bool same_mapping(const Remote& a, const Remote& b) const;
  [[nodiscard]] std::uint16_t new_port();

  NatBehaviour behaviour_;
  SeededRng rng_;
  std::vector<Flow> flows_;
};

}  // namespace ringway::overlay::sim
