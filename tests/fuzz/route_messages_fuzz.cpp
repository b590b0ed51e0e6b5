// Datagrams as rtnetlink sends them, into the mirror's state and on to a forwarding table. Whatever
// is understood keeps to its rules: canonical prefixes, next hops of carried interfaces only,
// resolved ones with an address that a station can have.
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/check.hpp"
#include "controlplane/host/route_messages.hpp"
#include "controlplane/host/route_state.hpp"

namespace {

using namespace ringway;
using control::CarriedInterface;
using control::RouteState;

constexpr CarriedInterface kCarried[] = {{7, 3}};

void check_message(const control::route_message::Message& message) {
  if (const auto* route = std::get_if<control::route_message::Route>(&message)) {
    const auto again = net::Prefix::parse(route->destination.to_string());
    CHECK(again && *again == route->destination);
    for (const auto& hop : route->hops)
      CHECK(!hop.gateway || hop.gateway->family == route->destination.address.family);
  }
  if (const auto* neighbour = std::get_if<control::route_message::Neighbour>(&message)) {
    CHECK(!neighbour->mac || (!neighbour->mac->is_group() && !neighbour->removed));
  }
}

void check_destination(const forwarding::ForwardingTable& table, const net::IpAddress& to) {
  const forwarding::NextHopId id = table.lookup(to);
  CHECK(id.value < table.next_hop_count());
  const forwarding::NextHop& hop = table.next_hop(id);
  if (hop.state < forwarding::NextHopState::kUnresolved) return;
  CHECK(hop.port == 3);
  CHECK(table.neighbour(id, to).address.family == to.family);
  if (hop.state == forwarding::NextHopState::kResolved) CHECK(!hop.destination.is_group());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Exactly as long as the datagram, so that AddressSanitizer sees a byte read past it.
  const std::vector<std::uint8_t> datagram(data, data + size);
  RouteState state;
  control::route_message::Link link;
  link.index = 7;
  link.ethernet = link.up = link.carrier = true;
  link.mac.emplace();
  state.apply(link);

  std::vector<net::IpAddress> named;
  control::route_message::Reader reader(datagram);
  control::route_message::Header header;
  ConstBytes body;
  while (reader.next(header, body)) {
    const auto message = control::route_message::parse(header, body);
    check_message(message);
    if (const auto* route = std::get_if<control::route_message::Route>(&message)) {
      named.push_back(route->destination.address);
    }
    std::visit(
        [&](const auto& one) {
          if constexpr (requires { state.apply(one); }) static_cast<void>(state.apply(one));
        },
        message);
  }
  const control::BuiltTable built = state.build(kCarried);
  for (const net::IpAddress& address : named)
    check_destination(built.table, address);
  for (const char* text : {"192.0.2.1", "203.0.113.9", "2001:db8::9", "fe80::1"})
    check_destination(built.table, *net::IpAddress::parse(text));
  return 0;
}
