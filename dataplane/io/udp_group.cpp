#include "dataplane/io/udp_group.hpp"

#include <array>
#include <cerrno>

#include <linux/filter.h>
#include <sys/socket.h>

#include "base/check.hpp"
#include "dataplane/io/udp_message.hpp"

namespace ringway::io {
namespace {

constexpr std::uint32_t kWorkerMask = (1U << UdpKinds::kWorkerBits) - 1;
// Jumps of the program: instructions that are passed over.
constexpr std::uint8_t kFirstOther = 6;
constexpr std::uint8_t kData = 8;
constexpr std::uint8_t kShortOther = 2;

bool let_share_port(int fd) {
  const int on = 1;
  return ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
}

}  // namespace

Result<void> join_udp_group(int first, int fd) {
  UdpSocketAddress address{};
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (::getsockname(first, generic, &length) == 0 && let_share_port(fd) && let_share_port(first) &&
      ::bind(fd, generic, length) == 0) {
    return {};
  }
  return system_failure("sharing the UDP port between sockets", errno);
}

// The program sees the UDP payload, and returns a position in the group, in the order in which the
// sockets joined. A load past the end returns 0, the first worker's data socket.
Result<void> choose_in_udp_group(int first, const UdpKinds& kinds, std::uint32_t workers) {
  CHECK(workers > 0 && kinds.worker_shift <= 24);
  const std::uint32_t low = kinds.number_at + kinds.worker_shift / 8;
  std::array program = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, kFirstOther, 0),
      sock_filter BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kinds.data_type, kData, 0),
      // Not data: anybody's, and the first one's where it is too short to differ from others.
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kinds.any_at + 4, 0, kShortOther),
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kinds.any_at),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
      sock_filter BPF_STMT(BPF_LD | BPF_IMM, 0),
      sock_filter BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
      sock_filter BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, workers),
      sock_filter BPF_STMT(BPF_RET | BPF_A, 0),
      // Data: the two bytes in which the worker's number stands.
      sock_filter BPF_STMT(BPF_LD | BPF_B | BPF_ABS, low + 1),
      sock_filter BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 8),
      sock_filter BPF_STMT(BPF_MISC | BPF_TAX, 0),
      sock_filter BPF_STMT(BPF_LD | BPF_B | BPF_ABS, low),
      sock_filter BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0),
      sock_filter BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, kinds.worker_shift % 8),
      sock_filter BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kWorkerMask),
      sock_filter BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
      sock_filter BPF_STMT(BPF_RET | BPF_A, 0),
  };
  const sock_fprog choice{static_cast<unsigned short>(program.size()), program.data()};
  if (::setsockopt(first, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &choice, sizeof choice) != 0) {
    return system_failure("choosing among the sockets of a UDP port", errno);
  }
  return {};
}

}  // namespace ringway::io
