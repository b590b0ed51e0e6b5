#include "controlplane/bpf/steering.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <utility>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <steer.skel.h>

#include "bpf/shared.h"

namespace ringway::control {
namespace {

// Libbpf explains on stderr what it returns as errors anyway. What it said last goes into ours.
thread_local std::string last_warning;
[[gnu::format(printf, 2, 0)]] int keep_warning(libbpf_print_level level, const char* format,
                                               va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  std::array<char, 256> line{};
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  last_warning = line.data();
  while (!last_warning.empty() && last_warning.back() == '\n')
    last_warning.pop_back();
  return length;
}

tl::unexpected<Error> bpf_failure(const std::string& what, int error) {
  std::string remedy;
  if (error == EPERM) remedy = "needs CAP_BPF and CAP_NET_ADMIN";
  auto result = system_failure(what, error, remedy);
  if (remedy.empty() && !last_warning.empty()) result.value().message += " (" + last_warning + ")";
  return result;
}

rw_steer_address key_of(const net::IpAddress& address) {
  rw_steer_address key{};
  std::copy(address.view().begin(), address.view().end(), key.bytes);
  key.family = address.is_v4() ? 4 : 6;
  return key;
}

Result<rw_steer_service> service_of(const SteeredAddress& steered) {
  const std::string address = steered.address.to_string();
  if (steered.tunnel_ports.size() > Steering::kMaxTunnelPorts) {
    return failure(address + " has more than " + std::to_string(Steering::kMaxTunnelPorts) +
                   " tunnel ports");
  }
  if (steered.nat_first > steered.nat_last) {
    return failure("the NAT's ports of " + address + " end before they begin");
  }
  rw_steer_service service{};
  std::copy(steered.tunnel_ports.begin(), steered.tunnel_ports.end(), service.tunnel_ports);
  service.nat_first = steered.nat_first;
  service.nat_last = steered.nat_last;
  service.nat = steered.nat_first != 0;
  return service;
}

bool equal(const rw_steer_address& a, const rw_steer_address& b) {
  return a.family == b.family && std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

std::vector<rw_steer_address> keys_of(int map) {
  std::vector<rw_steer_address> keys;
  rw_steer_address key{};
  for (const rw_steer_address* previous = nullptr; bpf_map_get_next_key(map, previous, &key) == 0;
       previous = &keys.back()) {
    keys.push_back(key);
  }
  return keys;
}

}  // namespace

const std::size_t Steering::kMaxAddresses = RW_STEER_MAX_ADDRESSES;
const std::size_t Steering::kMaxTunnelPorts = RW_STEER_TUNNEL_PORTS;
const std::uint32_t Steering::kMaxQueues = RW_STEER_MAX_QUEUES;

struct Steering::Object {
  steer_bpf* skeleton = nullptr;

  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  ~Object() { steer_bpf::destroy(skeleton); }

  [[nodiscard]] int addresses() const { return bpf_map__fd(skeleton->maps.addresses); }
  [[nodiscard]] int sockets() const { return bpf_map__fd(skeleton->maps.sockets); }
  [[nodiscard]] int counters() const { return bpf_map__fd(skeleton->maps.counters); }
};

Steering::Steering(std::unique_ptr<Object> object) : object_(std::move(object)) {}
Steering::~Steering() = default;

Result<std::unique_ptr<Steering>> Steering::load(SteeringMode mode) {
  libbpf_set_print(keep_warning);
  last_warning.clear();
  auto object = std::make_unique<Object>();
  object->skeleton = steer_bpf::open();
  if (object->skeleton == nullptr) return bpf_failure("reading the steering program", errno);
  object->skeleton->rodata->rw_transit = mode == SteeringMode::kTransit;
  if (const int error = steer_bpf::load(object->skeleton); error != 0) {
    return bpf_failure("loading the steering program into the kernel", -error);
  }
  return std::unique_ptr<Steering>(new Steering(std::move(object)));
}

Result<void> Steering::configure(std::span<const SteeredAddress> addresses) {
  if (addresses.size() > kMaxAddresses) {
    return failure("more than " + std::to_string(kMaxAddresses) + " addresses to steer");
  }
  std::vector<std::pair<rw_steer_address, rw_steer_service>> wanted;
  for (const SteeredAddress& address : addresses) {
    const auto service = service_of(address);
    if (!service) return tl::unexpected(service.error());
    wanted.emplace_back(key_of(address.address), *service);
  }
  // What is gone first, so that there is room for what comes.
  const int map = object_->addresses();
  for (const rw_steer_address& present : keys_of(map)) {
    const bool stays = std::any_of(wanted.begin(), wanted.end(),
                                   [&](const auto& entry) { return equal(entry.first, present); });
    if (!stays) bpf_map_delete_elem(map, &present);
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto& [key, service] = wanted[i];
    if (const int error = bpf_map_update_elem(map, &key, &service, BPF_ANY); error != 0) {
      return bpf_failure("steering packets to " + addresses[i].address.to_string(), -error);
    }
  }
  return {};
}

Result<void> Steering::attach(const std::string& device, XdpPreference preference) {
  auto attachment = XdpAttachment::attach(program_fd(), device, preference);
  if (!attachment) return tl::unexpected(attachment.error());
  attachment_.emplace(std::move(*attachment));
  return {};
}

Result<void> Steering::add_socket(std::uint32_t queue, int socket_fd) {
  const std::string what = "steering queue " + std::to_string(queue) + " to its socket";
  const int error = bpf_map_update_elem(object_->sockets(), &queue, &socket_fd, BPF_ANY);
  if (error == -E2BIG) {
    return failure(what + ": only " + std::to_string(kMaxQueues) + " queues of a device are served",
                   "lower their number with 'ethtool -L'");
  }
  if (error != 0) return bpf_failure(what, -error);
  return {};
}

void Steering::remove_socket(std::uint32_t queue) {
  bpf_map_delete_elem(object_->sockets(), &queue);
}

Result<void> Steering::give_back(ConstBytes frame, std::uint32_t interface_index) {
  xdp_md context{};
  context.data_end = static_cast<std::uint32_t>(frame.size());
  context.ingress_ifindex = interface_index;
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = context.data_end;
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  options.repeat = 1;
  options.batch_size = 1;
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  const int program = bpf_program__fd(object_->skeleton->progs.rw_give_back);
  if (const int error = bpf_prog_test_run_opts(program, &options); error != 0) {
    return bpf_failure("giving a packet back to the kernel", -error);
  }
  return {};
}

std::vector<SteeringCounter> Steering::counters() const {
  std::vector<SteeringCounter> counters = {
#define X(name, label, text) {label, text, 0},
      RW_STEER_REASONS(X)
#undef X
  };
  std::vector<std::uint64_t> cores(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  for (std::uint32_t reason = 0; reason < counters.size(); ++reason) {
    if (bpf_map_lookup_elem(object_->counters(), &reason, cores.data()) != 0) continue;
    for (const std::uint64_t packets : cores)
      counters[reason].packets += packets;
  }
  return counters;
}

Result<Steering::Trial> Steering::try_frame(ConstBytes frame, std::uint32_t repeats) const {
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.repeat = static_cast<int>(repeats);
  if (const int error = bpf_prog_test_run_opts(program_fd(), &options); error != 0) {
    return bpf_failure("letting the steering program judge a frame", -error);
  }
  return Trial{options.retval, options.duration};
}

int Steering::program_fd() const {
  return bpf_program__fd(object_->skeleton->progs.rw_steer);
}

}  // namespace ringway::control
