#include "controlplane/endpoint_resolver.hpp"

#include <memory>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace ringway::control {

Result<net::Endpoint> resolve_endpoint(const PeerEndpoint& endpoint) {
  if (const auto literal = endpoint.literal()) return *literal;
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    return failure("endpoint " + endpoint.to_string() + " does not resolve: " + gai_strerror(error),
                   "check the name and this host's DNS, or give an IP address");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
      return net::Endpoint{
          net::IpAddress::v4(reinterpret_cast<const std::uint8_t*>(&address->sin_addr)),
          endpoint.port};
    }
    if (entry->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      return net::Endpoint{net::IpAddress::v6(address->sin6_addr.s6_addr), endpoint.port};
    }
  }
  return failure("endpoint " + endpoint.to_string() + " has no IPv4 or IPv6 address");
}

}  // namespace ringway::control
