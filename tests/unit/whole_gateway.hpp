// A gateway's worker as a whole, with memory where the machine would be: Ethernet ports, the
// tunnel's kernel socket, the host, and one subscriber that has a session. What is offered to it
// comes out again as whoever gets it would see it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/net/address.hpp"
#include "base/rng.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/worker.hpp"
#include "tests/unit/nat_packets.hpp"
#include "tests/unit/peer_end.hpp"

namespace ringway {

// Its addresses, and those of who has to do with it.
struct GatewayAddresses {
  net::IpAddress tunnel4 = nat::testing_support::address("203.0.113.2");
  net::IpAddress tunnel6 = nat::testing_support::address("2001:db8:2::2");
  net::IpAddress external4 = nat::testing_support::address("198.51.100.1");
  net::IpAddress external6 = nat::testing_support::address("2001:db8:3::1");
  net::IpAddress inner4 = nat::testing_support::address("198.51.100.129");
  net::IpAddress inner6 = nat::testing_support::address("2001:db8:77::1");
  net::IpAddress subscriber4 = nat::testing_support::address("198.51.100.130");
  net::IpAddress subscriber6 = nat::testing_support::address("2001:db8:77::2");
  net::IpAddress server4 = nat::testing_support::address("198.51.100.2");
  net::IpAddress server6 = nat::testing_support::address("2001:db8:3::2");
  net::Endpoint subscriber_outside{nat::testing_support::address("192.0.2.2"), 51821};
};

// Where the server listens.
inline constexpr std::uint16_t kServerPort = 443;

// Of an Ethernet port.
struct PortSizes {
  std::uint32_t frames = 1024;
  std::size_t ring_slots = 1024;
};

class WholeGateway {
 public:
  using Packet = std::vector<std::uint8_t>;
  static constexpr std::uint16_t kTunnelPort = 51820;
  // A session lives three minutes.
  static constexpr Duration kTurn = Duration::microseconds(20);

  explicit WholeGateway(const PortSizes& lan_sizes = {}, const PortSizes& wan_sizes = {});

  // What came out since it was asked for last. Keepalives are left out.
  struct Received {
    std::vector<Packet> by_subscriber;
    std::vector<Packet> by_internet;
    std::vector<Packet> by_host;
    [[nodiscard]] std::size_t count() const {
      return by_subscriber.size() + by_internet.size() + by_host.size();
    }
  };
  [[nodiscard]] Received received();

  // Takes in a frame, or a packet from the subscriber's end of the tunnel, with the next turn.
  // False: no room.
  [[nodiscard]] static bool offer_frame(io::MemoryPort& port, ConstBytes frame) {
    return port.inject_copy(frame);
  }
  [[nodiscard]] bool offer_packet(ConstBytes packet);
  [[nodiscard]] bool offer_inner(ConstBytes packet) { return lan.inject_copy(sealed(packet)); }
  void turn(Duration after = kTurn);

  [[nodiscard]] std::uint64_t drops(DropReason reason) const;
  [[nodiscard]] std::uint64_t all_drops() const;
  // What went to the control thread: handshakes, control frames, packets for the kernel.
  [[nodiscard]] std::uint64_t to_control() const { return to_control_; }
  void expect_all_home();
  // By the worker in its turns, since the session was there.
  [[nodiscard]] std::uint64_t allocations() const { return allocations_; }

  GatewayAddresses at;
  io::MemoryPort lan;
  io::MemoryPort wan;
  io::MemoryPort kernel;
  io::MemoryPort host;

 private:
  [[nodiscard]] nat::Config nat_config() const;
  [[nodiscard]] std::shared_ptr<const forwarding::ForwardingTable> routes() const;
  void tell(Command&& command);
  [[nodiscard]] Packet sealed(ConstBytes packet);

  Instant now_;
  SeededRng rng_{3};
  ControlLink control_;
  forwarding::EthernetLink link_;
  Worker worker_;
  testing_support::PeerEnd subscriber_;
  std::uint64_t to_control_ = 0;
  std::uint64_t allocations_ = 0;
};

}  // namespace ringway
