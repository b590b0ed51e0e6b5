#include "controlplane/cli/ssh_session.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

namespace ringway::control::cli {
namespace {

constexpr int kMaxAncestors = 64;
constexpr std::string_view kVariable = "SSH_CONNECTION=";

std::string read_proc(long pid, const char* file) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/" + file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Behind the last parenthesis of /proc/PID/stat: " S PPID ..." (proc(5)).
long parent_of(long pid) {
  const std::string stat = read_proc(pid, "stat");
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos || end + 4 >= stat.size()) return 0;
  return std::strtol(stat.c_str() + end + 4, nullptr, 10);
}

// "ADDRESS PORT ADDRESS PORT": the first.
std::optional<net::IpAddress> client_in(const std::string& environment) {
  for (std::size_t at = 0; at < environment.size();) {
    const std::string_view entry = environment.c_str() + at;
    at += entry.size() + 1;
    if (!entry.starts_with(kVariable)) continue;
    const std::string_view value = entry.substr(kVariable.size());
    const auto address = net::IpAddress::parse(value.substr(0, value.find(' ')));
    if (address) return *address;
  }
  return std::nullopt;
}

std::optional<net::IpAddress> to_address(const sockaddr* from) {
  if (from == nullptr) return std::nullopt;
  if (from->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, from, sizeof v4);
    return net::IpAddress::v4(reinterpret_cast<const std::uint8_t*>(&v4.sin_addr));
  }
  if (from->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, from, sizeof v6);
    return net::IpAddress::v6(v6.sin6_addr.s6_addr);
  }
  return std::nullopt;
}

bool same_network(const net::IpAddress& a, const net::IpAddress& b, const net::IpAddress& mask) {
  if (a.family != b.family || a.family != mask.family) return false;
  for (std::size_t i = 0; i < a.view().size(); ++i) {
    if (((a.bytes[i] ^ b.bytes[i]) & mask.bytes[i]) != 0) return false;
  }
  return true;
}

}  // namespace

std::optional<net::IpAddress> ssh_client() {
  // sudo drops the variable; the shell above it still has it.
  long pid = ::getpid();
  for (int i = 0; i < kMaxAncestors && pid > 1; ++i) {
    if (const auto client = client_in(read_proc(pid, "environ"))) return client;
    pid = parent_of(pid);
  }
  return std::nullopt;
}

bool is_on_link(const net::IpAddress& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return false;
  bool found = false;
  for (const ifaddrs* entry = list; entry != nullptr && !found; entry = entry->ifa_next) {
    const auto own = to_address(entry->ifa_addr);
    const auto mask = to_address(entry->ifa_netmask);
    found = own && mask && same_network(address, *own, *mask);
  }
  ::freeifaddrs(list);
  return found;
}

}  // namespace ringway::control::cli
