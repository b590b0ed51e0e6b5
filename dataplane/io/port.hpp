// The one shape of everything that carries packets. A worker owns its ports and is the only thread
// that calls them. Calls are a burst each, so that the virtual call, the clock and the system call
// are paid once for many packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/counters.hpp"
#include "dataplane/packet.hpp"

namespace ringway::io {

struct PortCapabilities {
  bool tcp_trains_rx = false;  // may hand over kTcp slots (IPv4 and IPv6)
  bool tcp_trains_tx =
      false;  // gains by consecutive segments of one TCP flow: it merges them itself
  bool udp_trains_rx = false;       // may hand over kUdp slots
  bool udp_trains_tx = false;       // merges consecutive equal datagrams of one UDP flow itself
  bool datagram_trains_rx = false;  // may hand over kDatagrams slots
  bool datagram_trains_tx = false;  // takes kDatagrams slots
  std::uint16_t max_train_segments = 1;   // of a kDatagrams slot it takes
  std::uint32_t max_train_bytes = 65535;  // likewise
  std::uint16_t mtu = 1500;               // largest single packet it carries
  std::uint16_t tx_headroom = 0;          // bytes that it writes before what it is given to send
};

// What waits to be sent by a port that has a queue for it.
struct TxQueue {
  std::uint32_t slots = 0;    // as many as it holds; 0: there is none, or the port cannot tell
  std::uint32_t queued = 0;   // of these, those that the device has not taken
  std::uint32_t waiting = 0;  // as far as is known, not sent yet: these, and what it has taken
};

struct PortCounters {
  Counter rx_packets;  // datagrams; a train counts its segments
  Counter rx_bytes;
  Counter rx_bursts;  // calls that brought something
  Counter tx_packets;
  Counter tx_bytes;
  Counter tx_bursts;
  Counter tx_dropped;  // datagrams the device refused
};

class Port {
 public:
  virtual ~Port() = default;

  // Fills slots from the front of `out` and returns how many; 0 when nothing waits. The caller owns
  // them. Never blocks.
  [[nodiscard]] virtual std::size_t rx_burst(std::span<Slot> out) = 0;
  // Takes ownership of every slot and sends in order. What cannot be sent now is dropped and
  // counted in tx_dropped. Slots may come from any pool. Returns how many datagrams were dropped.
  virtual std::size_t tx_burst(std::span<Slot> slots) = 0;
  // Empty slots for packets that will leave by this port. Returns how many there were.
  [[nodiscard]] virtual std::size_t alloc_burst(std::span<Slot> out) = 0;
  // Brings buffers home that an asynchronous device has finished with.
  virtual void reclaim() {}

  [[nodiscard]] virtual const PortCapabilities& capabilities() const = 0;
  // Readable when rx_burst has something; -1 for a port that must be polled.
  [[nodiscard]] virtual int wake_fd() const = 0;
  // Likewise, for what the port keeps apart from the rest; -1: nothing.
  [[nodiscard]] virtual int side_wake_fd() const { return -1; }
  // Something waits of which no descriptor will tell: rx_burst, or reclaim where it waits to be
  // sent, is to be called again within a millisecond.
  [[nodiscard]] virtual bool wants_polling() const { return false; }
  // No system call.
  [[nodiscard]] virtual TxQueue tx_queue() const { return {}; }
  // For logs and `ringway status`: "tun ringway0: vnet_hdr, TSO4, TSO6, USO".
  [[nodiscard]] virtual std::string describe() const = 0;

  [[nodiscard]] const PortCounters& counters() const { return counters_; }

 protected:
  PortCounters counters_;
};

}  // namespace ringway::io
