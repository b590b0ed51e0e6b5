// lab-flood: sends prepared Ethernet frames from a veth at a steady rate, over and over.
//
//   lab-flood INTERFACE FRAMES RATE SECONDS
//
// FRAMES holds the frames, each behind its length (16 bits, little-endian; see
// ringway_lab/wire.py). RATE is in frames a second. AF_PACKET without a queueing discipline,
// because the sender shares its cores with what it attacks and must cost little. Prints what it
// sent, as one line of JSON.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 64;  // frames a sendmmsg
constexpr std::size_t kLengthBytes = 2;

struct Options {
  std::string interface;
  std::string frames_path;
  std::uint64_t frames_per_second = 0;
  std::uint64_t seconds = 0;
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

std::optional<Options> parse_options(int argc, char** argv) {
  if (argc != 5) return std::nullopt;
  const auto rate = parse_number(argv[3]);
  const auto seconds = parse_number(argv[4]);
  if (!rate || !seconds) return std::nullopt;
  return Options{argv[1], argv[2], *rate, *seconds};
}

// All frames of a file, as (buffer, extents into it).
struct Frames {
  std::vector<char> bytes;
  std::vector<iovec> extents;
};

bool read_frames(const std::string& path, Frames& frames) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return false;
  frames.bytes.assign(std::istreambuf_iterator<char>(file), {});
  std::size_t offset = 0;
  while (offset + kLengthBytes <= frames.bytes.size()) {
    const auto low = static_cast<unsigned char>(frames.bytes[offset]);
    const auto high = static_cast<unsigned char>(frames.bytes[offset + 1]);
    const std::size_t length = static_cast<std::size_t>(low) | static_cast<std::size_t>(high) << 8;
    offset += kLengthBytes;
    if (length > frames.bytes.size() - offset) return false;
    frames.extents.push_back({&frames.bytes[offset], length});
    offset += length;
  }
  return !frames.extents.empty();
}

int open_interface(const std::string& name) {
  const int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(name.c_str()));
  const int bypass = 1;
  if (address.sll_ifindex == 0 ||
      setsockopt(descriptor, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof bypass) != 0 ||
      bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

// Sends up to `count` frames from `next` on, wrapping; returns how many went out.
std::size_t send_batch(int descriptor, Frames& frames, std::size_t& next, std::size_t count) {
  std::array<mmsghdr, kBatch> messages{};
  for (std::size_t i = 0; i < count; ++i) {
    messages[i].msg_hdr.msg_iov = &frames.extents[(next + i) % frames.extents.size()];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int sent = sendmmsg(descriptor, messages.data(), static_cast<unsigned>(count), 0);
  // ENOBUFS: the receiver's queue is full. The frames count as tried, as on a real wire.
  const std::size_t advanced = sent > 0 ? static_cast<std::size_t>(sent) : count;
  next = (next + advanced) % frames.extents.size();
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

std::uint64_t flood(int descriptor, Frames& frames, const Options& options) {
  const auto start = Clock::now();
  const auto end = start + std::chrono::seconds(options.seconds);
  std::uint64_t tried = 0;
  std::uint64_t sent = 0;
  std::size_t next = 0;
  for (auto now = start; now < end; now = Clock::now()) {
    const std::chrono::duration<double> elapsed = now - start;
    const auto due = static_cast<std::uint64_t>(elapsed.count() *
                                                static_cast<double>(options.frames_per_second));
    if (due < tried + kBatch) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      continue;
    }
    // After a pause the backlog is dropped: a flood does not come back harder.
    tried = std::max(tried, due - std::min<std::uint64_t>(due, options.frames_per_second / 20));
    sent += send_batch(descriptor, frames, next, kBatch);
    tried += kBatch;
  }
  return sent;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "usage: lab-flood INTERFACE FRAMES RATE SECONDS\n");
    return 2;
  }
  Frames frames;
  if (!read_frames(options->frames_path, frames)) {
    std::fprintf(stderr, "lab-flood: %s holds no frames\n", options->frames_path.c_str());
    return 1;
  }
  const int descriptor = open_interface(options->interface);
  if (descriptor < 0) {
    std::fprintf(stderr, "lab-flood: interface %s: %s\n", options->interface.c_str(),
                 std::strerror(errno));
    return 1;
  }
  const std::uint64_t sent = flood(descriptor, frames, *options);
  close(descriptor);
  std::printf("{\"sent\": %llu, \"seconds\": %llu}\n", static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(options->seconds));
  return 0;
}
