// Loads the steering program (bpf/steer.bpf.c) for one device, tells it what is ours, and connects
// it to the AF_XDP sockets of the device's receive queues. One object a device: the program's map
// of sockets is indexed by the number of the queue alone. Control thread only.
//
//   load() ─► configure() ─► attach() ─► add_socket() for each port ─► configure() as often as
//   needed
//
// Configure before attaching: without addresses everything goes to the kernel.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "controlplane/bpf/xdp_attachment.hpp"

namespace ringway::control {

// What of the packets to one of our addresses is ours.
struct SteeredAddress {
  net::IpAddress address;
  std::vector<std::uint16_t> tunnel_ports;  // UDP; at most Steering::kMaxTunnelPorts
  // External ports and ICMP identifiers of the NAT, both inclusive; first 0: not the NAT's.
  std::uint16_t nat_first = 0;
  std::uint16_t nat_last = 0;
};

// Whose packets can be ours at all.
enum class SteeringMode : std::uint8_t {
  kOwnAddresses,  // those to our addresses
  // Those to everybody else as well, as a router gets them: IP packets in frames to one station,
  // but none to link-local, loopback or group addresses. What is for the kernel stays with it as
  // long as its addresses are configured here.
  kTransit,
};

struct SteeringCounter {
  std::string_view label;  // "nat_port", for metrics
  std::string_view text;   // for a person
  std::uint64_t packets = 0;
};

class Steering {
 public:
  static const std::size_t kMaxAddresses;
  static const std::size_t kMaxTunnelPorts;
  static const std::uint32_t kMaxQueues;

  [[nodiscard]] static Result<std::unique_ptr<Steering>> load(
      SteeringMode mode = SteeringMode::kOwnAddresses);
  ~Steering();
  Steering(const Steering&) = delete;
  Steering& operator=(const Steering&) = delete;

  // Replaces the whole configuration while packets pass. An address that is in the old and the new
  // one is never without. An address may be named once. On failure, addresses may be of either.
  [[nodiscard]] Result<void> configure(std::span<const SteeredAddress> addresses);
  [[nodiscard]] Result<void> attach(const std::string& device, XdpPreference preference = {});
  // Frees the device; sockets and configuration stay.
  void detach() { attachment_.reset(); }
  // Empty before attach().
  [[nodiscard]] const std::optional<XdpAttachment>& attachment() const { return attachment_; }

  // Packets of the queue go to this socket (XskPort::socket_fd()) from now on, until it closes. One
  // that is there already is replaced.
  [[nodiscard]] Result<void> add_socket(std::uint32_t queue, int socket_fd);
  // Packets of the queue go to the kernel from now on.
  void remove_socket(std::uint32_t queue);

  // A frame that user space took from the device of this interface index and that is the kernel's:
  // it goes through the kernel's stack as if the device had received it, and what belongs to it
  // follows by itself. For fragments, and for ICMP answers and errors to queries; anything else is
  // counted and dropped. Some tens of microseconds. Fails where the kernel cannot (before
  // Linux 5.18).
  [[nodiscard]] Result<void> give_back(ConstBytes frame, std::uint32_t interface_index);

  // Where packets went, all of the list in bpf/shared.h, sums over all cores.
  [[nodiscard]] std::vector<SteeringCounter> counters() const;
  struct Trial {
    std::uint32_t verdict;      // XDP_PASS and so on
    std::uint32_t nanoseconds;  // that each time took, on average
  };
  // Lets the program judge a frame so many times, without any device. It is counted like others.
  [[nodiscard]] Result<Trial> try_frame(ConstBytes frame, std::uint32_t repeats) const;

 private:
  struct Object;
  [[nodiscard]] int program_fd() const;
  explicit Steering(std::unique_ptr<Object> object);

  std::unique_ptr<Object> object_;
  std::optional<XdpAttachment> attachment_;
};

}  // namespace ringway::control
