#include "tests/unit/host_lab.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/time.hpp"

namespace ringway::control {
namespace {

constexpr Duration kAddressPatience = Duration::seconds(5);

// What was on the host before: none of it may change.
constexpr const char* kPrepare = R"(
set -e
for s in all default; do
  echo 0 > /proc/sys/net/ipv6/conf/$s/accept_dad
  echo 0 > /proc/sys/net/ipv6/conf/$s/router_solicitations
done
ip link set lo up
ip link add e0 type veth peer name e1
ip link add lan0 type veth peer name lan1
ip link set e1 up; ip link set e0 up; ip link set lan1 up; ip link set lan0 up
ip addr add 192.0.2.2/24 dev e0
ip addr add 2001:db8::2/64 dev e0 nodad
ip addr add 192.168.7.1/24 dev lan0
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
for a in 192.0.2.1 192.0.2.9 2001:db8::1 2001:db8::9 fe80::9; do
  ip neigh add $a lladdr 02:00:00:00:00:01 dev e0 nud permanent
done
for a in 192.168.7.9; do ip neigh add $a lladdr 02:00:00:00:00:02 dev lan0 nud permanent; done
ip rule add from 203.0.113.77 lookup 77 pref 1000
ip route add blackhole default table 77
nft 'table inet mine { chain c { type filter hook input priority 5; policy accept; tcp dport 1 drop; }; }'
echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects
echo 1 > /proc/sys/net/ipv4/conf/lan0/forwarding
echo 1 > /proc/sys/net/ipv6/conf/lan0/forwarding
)";

void read_settings(const char* directory, std::ostringstream& out) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream in(file);
    std::string value;
    std::getline(in, value);
    out << file.string() << " = " << value << "\n";
  }
}

// The one's complement sum of RFC 1071, folded and complemented.
std::uint16_t checksum(ConstBytes data, std::uint32_t sum) {
  for (std::size_t i = 0; i < data.size(); i += 2) {
    sum += static_cast<std::uint32_t>(data[i] << 8);
    if (i + 1 < data.size()) sum += data[i + 1];
  }
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint32_t pseudo_sum(const net::IpAddress& source, const net::IpAddress& destination,
                         std::uint8_t protocol, std::size_t size) {
  std::uint32_t sum = protocol + static_cast<std::uint32_t>(size);
  for (const net::IpAddress* address : {&source, &destination}) {
    sum += static_cast<std::uint16_t>(~checksum(address->view(), 0));
  }
  return sum;
}

std::vector<std::uint8_t> make_payload(const TestPacket& packet) {
  std::vector<std::uint8_t> payload;
  switch (packet.protocol) {
    case IPPROTO_TCP:
      payload.resize(24);
      payload[12] = 6 << 4;
      payload[13] = 0x02;  // SYN
      payload[20] = 2;     // MSS
      payload[21] = 4;
      store_be<std::uint16_t>(&payload[22], 1460);
      break;
    case IPPROTO_UDP:
      payload.resize(16);
      store_be<std::uint16_t>(&payload[4], 16);
      break;
    default:
      payload.resize(16);
      payload[0] = packet.protocol == IPPROTO_ICMP ? 8 : 128;  // echo request
      return payload;
  }
  store_be(&payload[0], packet.source_port);
  store_be(&payload[2], packet.destination_port);
  return payload;
}

std::size_t checksum_offset(std::uint8_t protocol) {
  if (protocol == IPPROTO_TCP) return 16;
  return protocol == IPPROTO_UDP ? 6 : 2;
}

bool is_discovery(ConstBytes packet) {
  return packet.size() > 40 && packet[0] >> 4 == 6 &&
         ((packet[6] == IPPROTO_ICMPV6 && packet[40] >= 130 && packet[40] <= 137) ||
          packet[6] == 0);  // hop-by-hop option of multicast listener reports
}

}  // namespace

std::string HostLab::run(const std::string& command) {
  std::FILE* pipe = ::popen(("( " + command + "\n) 2>&1").c_str(), "r");
  CHECK(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer;
  while (std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), size);
  }
  if (const int status = ::pclose(pipe); status != 0) output += "exit " + std::to_string(status);
  return output;
}

std::string HostLab::run_well(const std::string& command) {
  std::string output = run(command);
  EXPECT_EQ(output.find("exit "), std::string::npos) << command << "\n" << output;
  return output;
}

void HostLab::SetUp() {
  ASSERT_EQ(::geteuid(), 0U) << "these tests change a network namespace of their own: run as root";
  ASSERT_EQ(::unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << std::strerror(errno);
  ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  char directory[] = "/tmp/ringway-host-test-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  state_directory_ = directory;
  ASSERT_EQ(::mount("none", directory, "tmpfs", 0, nullptr), 0) << std::strerror(errno);
  run_well(kPrepare);
  make_tun();
}

void HostLab::TearDown() {
  remove_tun();
  if (state_directory_.empty()) return;
  ::umount2(state_directory_.c_str(), MNT_DETACH);
  std::filesystem::remove_all(state_directory_);
}

void HostLab::make_tun() {
  tun_ = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  ASSERT_GE(tun_, 0) << "/dev/net/tun: " << std::strerror(errno);
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "rw0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  ASSERT_EQ(::ioctl(tun_, TUNSETIFF, &request), 0) << std::strerror(errno);
}

void HostLab::remove_tun() {
  if (tun_ >= 0) ::close(tun_);
  tun_ = -1;
}

// A link that came up just now gets its IPv6 address from the kernel at once, and its local route
// when a deferred piece of work has found the address free (even where it does not ask anybody).
void HostLab::wait_for_addresses() {
  const Instant end = Instant::now() + kAddressPatience;
  while (!run_well("ip -6 -o addr show tentative").empty()) {
    ASSERT_LT(Instant::now(), end) << "an address stays tentative";
    ::usleep(1000);
  }
}

std::string HostLab::snapshot() {
  wait_for_addresses();
  std::ostringstream out;
  for (const char* command :
       {"ip -d link | sed 's/qdisc [a-z_]* //'", "ip -o addr", "ip -4 rule", "ip -6 rule",
        "ip -4 route show table all", "ip -6 route show table all | sed '/^anycast.*rw0/d'",
        "nft list ruleset"}) {
    out << "# " << command << "\n" << run_well(command);
  }
  for (const char* directory : {"/proc/sys/net/ipv4", "/proc/sys/net/ipv6"}) {
    read_settings(directory, out);
  }
  return out.str();
}

::testing::AssertionResult HostLab::host_is(const std::string& snapshot_before) {
  const std::string now = snapshot();
  if (now == snapshot_before) return ::testing::AssertionSuccess();
  auto result = ::testing::AssertionFailure();
  const auto tell_lines_only_in = [&](const std::string& one, const std::string& other,
                                      const char* mark) {
    std::istringstream other_lines(other);
    std::multiset<std::string> known;
    for (std::string line; std::getline(other_lines, line);)
      known.insert(line);
    std::istringstream lines(one);
    for (std::string line; std::getline(lines, line);) {
      const auto found = known.find(line);
      if (found == known.end()) {
        result << mark << line << "\n";
      } else {
        known.erase(found);
      }
    }
  };
  tell_lines_only_in(snapshot_before, now, "- ");
  tell_lines_only_in(now, snapshot_before, "+ ");
  return result;
}

HostPlan HostLab::edge_plan() const {
  HostPlan plan;
  plan.tun_name = "rw0";
  plan.addresses = {*LocalAddress::parse("10.77.0.2/24"), *LocalAddress::parse("fd77::2/64")};
  plan.listen_port = 51820;
  plan.full_tunnel = true;
  plan.state_directory = state_directory_;
  return plan;
}

HostPlan HostLab::gateway_plan() const {
  HostPlan plan = edge_plan();
  plan.addresses = {*LocalAddress::parse("10.77.0.1/24"), *LocalAddress::parse("fd77::1/64")};
  plan.peer_prefixes = {*net::Prefix::parse("10.77.0.2/32"), *net::Prefix::parse("10.78.0.0/16"),
                        *net::Prefix::parse("fd77::2/128")};
  plan.full_tunnel = false;
  plan.masquerade = true;
  plan.wan_interface = "e0";
  return plan;
}

int HostLab::in_child(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  return status;
}

Capture::Capture(const std::string& interface)
    : socket_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  CHECK(socket_ >= 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  CHECK(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

Capture::~Capture() {
  ::close(socket_);
}

std::vector<std::vector<std::uint8_t>> Capture::packets() {
  std::vector<std::vector<std::uint8_t>> found;
  pollfd ready{socket_, POLLIN, 0};
  while (::poll(&ready, 1, 50) > 0) {
    std::vector<std::uint8_t> packet(65536);
    sockaddr_ll from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = ::recvfrom(socket_, packet.data(), packet.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size <= 0 || from.sll_pkttype != PACKET_OUTGOING) continue;
    if (from.sll_protocol != htons(ETH_P_IP) && from.sll_protocol != htons(ETH_P_IPV6)) continue;
    packet.resize(static_cast<std::size_t>(size));
    if (!is_discovery(packet)) found.push_back(std::move(packet));
  }
  return found;
}

std::vector<std::uint8_t> make_packet(const TestPacket& packet) {
  const auto source = *net::IpAddress::parse(packet.source);
  const auto destination = *net::IpAddress::parse(packet.destination);
  std::vector<std::uint8_t> payload = make_payload(packet);
  const std::uint32_t pseudo =
      packet.protocol == IPPROTO_ICMP
          ? 0
          : pseudo_sum(source, destination, packet.protocol, payload.size());
  store_be(&payload[checksum_offset(packet.protocol)], checksum(payload, pseudo));

  std::vector<std::uint8_t> bytes(source.is_v4() ? 20 : 40);
  if (source.is_v4()) {
    bytes[0] = 0x45;
    store_be(&bytes[2], static_cast<std::uint16_t>(20 + payload.size()));
    bytes[8] = 64;
    bytes[9] = packet.protocol;
    std::copy_n(source.bytes.begin(), 4, &bytes[12]);
    std::copy_n(destination.bytes.begin(), 4, &bytes[16]);
    store_be(&bytes[10], checksum(bytes, 0));
  } else {
    bytes[0] = 0x60;
    store_be(&bytes[4], static_cast<std::uint16_t>(payload.size()));
    bytes[6] = packet.protocol;
    bytes[7] = 64;
    std::copy_n(source.bytes.begin(), 16, &bytes[8]);
    std::copy_n(destination.bytes.begin(), 16, &bytes[24]);
  }
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

}  // namespace ringway::control
