// Links, addresses, routes and policy rules of the host, by rtnetlink. Every call is one request
// and waits for the kernel's answer; the control thread is the only caller. An error names the
// object, the kernel's reason and, where there is one, the remedy. Objects are named by interface
// index, because a name may by now belong to another device.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/net/address.hpp"
#include "base/result.hpp"

struct mnl_socket;
struct nlmsghdr;

namespace ringway::control {

struct Link {
  int index = 0;
  std::string name;
  bool up = false;
  std::uint32_t mtu = 0;
  std::uint32_t gso_max_size = 0;  // bytes; the kernel's limit for IPv6 trains (and IPv4's
                                   // where it knows no other)
  // How IPv6 makes addresses of its own here (addr_gen_mode): 0 from the hardware address, 1 none.
  std::optional<std::uint8_t> address_generation;  // unset: no IPv6 on this link
  std::uint32_t gso_ipv4_max_size = 0;             // bytes; 0 before Linux 6.3
};

// An address of an interface and the length of the network it stands in; host bits are kept.
struct LocalAddress {
  net::IpAddress address;
  std::uint8_t length = 0;

  [[nodiscard]] net::Prefix network() const;
  [[nodiscard]] std::string to_string() const;  // "10.77.0.2/24"
  [[nodiscard]] static Result<LocalAddress> parse(std::string_view text);
  auto operator<=>(const LocalAddress&) const = default;
};

enum class RouteKind : std::uint8_t { kUnicast, kUnreachable, kBlackhole };

struct Route {
  net::Prefix destination;
  std::uint32_t table = 254;  // main
  RouteKind kind = RouteKind::kUnicast;
  int interface_index = 0;   // of a unicast route
  std::uint32_t metric = 0;  // lower is better; IPv6 reads 0 as 1024

  [[nodiscard]] std::string to_string() const;
  bool operator==(const Route&) const = default;
};

// "All packets that match go by this table". What is zero, empty or unset does not restrict.
struct Rule {
  net::Family family = net::Family::kIpv4;
  std::uint32_t priority = 0;  // lower is asked earlier
  std::uint32_t table = 254;
  std::uint32_t mark = 0;
  bool invert = false;  // "not": applies to what does not match
  std::optional<std::uint32_t>
      suppress_prefix_length;  // ignore routes that are no longer than this
  std::string in_interface;    // "lo": what this host sends itself
  std::uint8_t protocol = 0;   // IPPROTO_*
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;

  [[nodiscard]] std::string to_string() const;
  bool operator==(const Rule&) const = default;
};

// Whether adding something that exists already is a failure.
enum class IfExists : std::uint8_t { kFail, kKeep };

class Netlink {
 public:
  // A socket in the network namespace of the calling thread.
  [[nodiscard]] static Result<Netlink> open();
  Netlink(Netlink&& other) noexcept;
  Netlink& operator=(Netlink&& other) noexcept;
  ~Netlink();

  [[nodiscard]] Result<Link> link(std::string_view name);
  [[nodiscard]] Result<std::vector<Link>> links();
  [[nodiscard]] Result<void> set_up(int interface_index, bool up);
  [[nodiscard]] Result<void> set_mtu(int interface_index, std::uint32_t mtu);
  // Unlike the setting of that name, it makes no address at once.
  [[nodiscard]] Result<void> set_address_generation(int interface_index, std::uint8_t mode);
  // Limits of the trains handed to a device. `ipv4_bytes` is left alone by kernels before 6.3.
  [[nodiscard]] Result<void> set_gso_max_size(int interface_index, std::uint32_t bytes,
                                              std::uint32_t ipv4_bytes);

  // IPv6 addresses are added without duplicate address detection: a tunnel has nobody to ask.
  [[nodiscard]] Result<void> add_address(int interface_index, const LocalAddress& address,
                                         IfExists if_exists = IfExists::kFail);
  // Removing what is gone already, or stands on a device that is gone, succeeds; so do the other
  // remove_ functions.
  [[nodiscard]] Result<void> remove_address(int interface_index, const LocalAddress& address);
  [[nodiscard]] Result<std::vector<LocalAddress>> addresses(int interface_index);

  [[nodiscard]] Result<void> add_route(const Route& route, IfExists if_exists = IfExists::kFail);
  [[nodiscard]] Result<void> remove_route(const Route& route);
  // Unicast, unreachable and blackhole routes of one table.
  [[nodiscard]] Result<std::vector<Route>> routes(net::Family family, std::uint32_t table);

  [[nodiscard]] Result<void> add_rule(const Rule& rule, IfExists if_exists = IfExists::kFail);
  [[nodiscard]] Result<void> remove_rule(const Rule& rule);
  [[nodiscard]] Result<std::vector<Rule>> rules(net::Family family);

 private:
  struct Answer;
  explicit Netlink(mnl_socket* socket) : socket_(socket) {}
  // Sends `request` and gives every message of the answer to `on_message`.
  template <typename OnMessage>
  [[nodiscard]] Answer exchange(nlmsghdr* request, OnMessage&& on_message);
  [[nodiscard]] Answer execute(nlmsghdr* request);
  [[nodiscard]] Result<void> change_link(nlmsghdr* request, int interface_index,
                                         const std::string& what);

  mnl_socket* socket_ = nullptr;
  std::uint32_t sequence_ = 0;
};

}  // namespace ringway::control
