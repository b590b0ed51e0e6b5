#include "controlplane/worker_crew.hpp"

#include <utility>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/check.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/receiver_index.hpp"

namespace ringway::control {
namespace {

// Of one worker: a burst on its way in, one on its way out, cookie replies, and what the port
// prepares.
constexpr std::uint32_t kOuterBuffers = 4 * kBurstSlots;

WorkerId worker_id(std::size_t number) {
  return {static_cast<std::uint8_t>(number)};
}

// Data names its worker by the receiver's index, which control draws. Everything else begins with
// its sender's index, but for cookie replies.
io::UdpKinds kinds_of_messages() {
  static_assert(tunnel::kWorkerBits == io::UdpKinds::kWorkerBits);
  io::UdpKinds kinds;
  kinds.data_type = static_cast<std::uint8_t>(tunnel::MessageType::kData);
  kinds.number_at = tunnel::DataLayout::kReceiver;
  kinds.worker_shift = kSessionSlotBits;
  kinds.any_at = tunnel::InitiationLayout::kSender;
  return kinds;
}

Result<void> pin(std::thread& thread, unsigned cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  const int refused = pthread_setaffinity_np(thread.native_handle(), sizeof cpus, &cpus);
  if (refused == 0) return {};
  return system_failure("pinning a worker to CPU " + std::to_string(cpu), refused,
                        "set [worker] cpu to what this process may use");
}

// "0-3,6": where the kernel may run it.
std::string cpus_of(const std::thread& thread) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  auto handle = const_cast<std::thread&>(thread).native_handle();
  if (pthread_getaffinity_np(handle, sizeof cpus, &cpus) != 0) return {};
  std::string text;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &cpus)) continue;
    std::size_t last = cpu;
    while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &cpus))
      ++last;
    text += (text.empty() ? "" : ",") + std::to_string(cpu);
    if (last > cpu) text += "-" + std::to_string(last);
    cpu = last;
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<WorkerCrew>> WorkerCrew::open(const Config& config) {
  auto crew = std::unique_ptr<WorkerCrew>(new WorkerCrew());
  for (std::size_t i = 0; i < config.worker.count; ++i)
    crew->members_.push_back(std::make_unique<Member>());
  if (auto opened = crew->open_ports(config); !opened) return tl::unexpected(opened.error());
  if (crew->size() > 1) crew->meet();
  return crew;
}

WorkerCrew::~WorkerCrew() {
  for (const auto& member : members_)
    CHECK(!member->thread.joinable());
}

Result<void> WorkerCrew::open_ports(const Config& config) {
  io::UdpOptions udp;
  udp.port = config.interface.listen_port;
  if (config.interface.fwmark != 0) udp.mark = config.interface.fwmark;
  udp.pool_buffers = kOuterBuffers;
  udp.kinds = kinds_of_messages();
  auto outer = io::UdpPort::open_group(udp, size());
  if (!outer) return tl::unexpected(outer.error());

  io::TunOptions tun;
  tun.name = config.interface.name;
  tun.mtu = config.interface.mtu;
  tun.limit_super_packets = !config.gateway.enabled;
  // Twice what may wait for handshakes, so that staging never starves the port.
  tun.pool_buffers = 2 * WorkerOptions().max_staged_packets;
  auto inner = io::TunPort::open_queues(tun, size());
  if (!inner) return tl::unexpected(inner.error());
  for (std::size_t i = 0; i < size(); ++i) {
    members_[i]->outer = std::move((*outer)[i]);
    members_[i]->inner = std::move((*inner)[i]);
  }
  return {};
}

void WorkerCrew::meet() {
  mesh_ = std::make_unique<HandoffMesh>(size());
  for (std::size_t i = 0; i < size(); ++i) {
    Member& member = *members_[i];
    mesh_->announce_pool(worker_id(i), member.outer->pool());
    mesh_->announce_pool(worker_id(i), member.inner->pool());
    mesh_->set_doorbell(worker_id(i), member.link.worker_doorbell);
  }
}

const std::string& WorkerCrew::tun_name() const {
  return members_.front()->inner->name();
}
std::uint16_t WorkerCrew::local_port() const {
  return members_.front()->outer->local_port();
}

std::vector<ControlLink*> WorkerCrew::links() const {
  std::vector<ControlLink*> links;
  for (const auto& member : members_)
    links.push_back(&member->link);
  return links;
}

std::vector<io::UdpPort*> WorkerCrew::sockets() const {
  std::vector<io::UdpPort*> sockets;
  for (const auto& member : members_)
    sockets.push_back(member->outer.get());
  return sockets;
}

void WorkerCrew::make_workers(const tunnel::PublicKey& own_key, XdpGateway* gateway) {
  WorkerOptions options;
  options.own_key = own_key;
  options.session_slot_bits = kSessionSlotBits;
  members_.front()->rng.fill(options.cookie_seed.emplace().span());
  for (std::size_t i = 0; i < size(); ++i) {
    Member& member = *members_[i];
    forwarding::EthernetLink* const link =
        gateway == nullptr ? nullptr : &gateway->link(worker_id(i));
    io::Port& outer = link == nullptr ? *member.outer : link->datagrams();
    member.worker =
        std::make_unique<Worker>(options, *member.inner, outer, member.link, member.rng);
    if (link != nullptr) {
      member.worker->open_internet_side(link->packets(), gateway->nat_config(worker_id(i)), link);
    }
    if (mesh_ == nullptr) continue;
    if (gateway != nullptr) {
      mesh_->announce_pool(worker_id(i), gateway->interfaces().pool(worker_id(i)));
    }
    member.worker->join(mesh_->end(worker_id(i)));
  }
}

std::size_t WorkerCrew::restore_mappings(WorkerId worker,
                                         std::span<const nat::MappingRecord> records) {
  return members_[worker.value]->worker->restore_mappings(records, Instant::now());
}

Result<void> WorkerCrew::run(const WorkerConfig& config) {
  const ringway::PollMode mode =
      config.poll == PollMode::kBusy ? ringway::PollMode::kBusy : ringway::PollMode::kAdaptive;
  for (std::size_t i = 0; i < size(); ++i) {
    Member& member = *members_[i];
    member.thread = std::thread([&member, mode] {
      member.worker->run(mode);
      member.finished = true;
    });
    pthread_setname_np(member.thread.native_handle(), name_of(i).c_str());
    if (config.cpus.empty()) continue;
    if (auto pinned = pin(member.thread, config.cpus[i]); !pinned) return pinned;
  }
  return {};
}

// As `top -H` shows it.
std::string WorkerCrew::name_of(std::size_t number) const {
  return size() == 1 ? "rw-worker" : "rw-worker/" + std::to_string(number);
}

// A worker takes commands as long as it can send home what they replace: both rings have to be kept
// moving until it is through.
void WorkerCrew::stop(const std::function<void()>& take_events) {
  for (const auto& member : members_) {
    if (!member->thread.joinable()) continue;
    Command stop = command::Stop{};
    bool asked = false;
    while (!member->finished) {
      // NOLINTNEXTLINE(bugprone-use-after-move): not taken when full
      asked = asked || member->link.commands.try_push(std::move(stop));
      member->link.worker_doorbell.ring();
      take_events();
      ::usleep(200);
    }
    member->thread.join();
  }
  for (const auto& member : members_)
    member->worker.reset();
}

void WorkerCrew::dissolve() {
  mesh_.reset();
}

void WorkerCrew::close_ports() {
  for (const auto& member : members_) {
    member->inner.reset();
    member->outer.reset();
  }
}

void WorkerCrew::fill(NodeStatus& status, const WorkerConfig& config) const {
  status.interface = tun_name();
  status.listen_port = local_port();
  for (std::size_t i = 0; i < size(); ++i) {
    const Member& member = *members_[i];
    const std::string number = size() == 1 ? std::string() : "/" + std::to_string(i);
    status.ports.push_back(port_status("inner" + number, *member.inner));
    status.ports.push_back(port_status("outer" + number, *member.outer));
    const WorkerCounters& counters = member.worker->counters();
    WorkerStatus& worker = status.workers.emplace_back();
    worker.poll = poll_mode_name(config.poll);
    if (!config.cpus.empty()) worker.cpu = config.cpus[i];
    worker.cpus = cpus_of(member.thread);
    worker.crypto = member.worker->describe_crypto();
    worker.loops = counters.turns.value();
    worker.idle_loops = counters.idle_turns.value();
    worker.sleeps = counters.sleeps.value();
    worker.packets_sealed = counters.inner_packets.value();
    worker.packets_opened = counters.outer_packets.value();
    worker.handed_over = counters.handed_over.value();
    add_drops(status.drops, counters.drops);
  }
}

}  // namespace ringway::control
