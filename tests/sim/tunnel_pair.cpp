#include "tests/sim/tunnel_pair.hpp"

#include <algorithm>
#include <utility>

#include "base/net/checksum.hpp"

namespace ringway::sim {
namespace {

constexpr unsigned kSlotBits = 8;
constexpr std::size_t kRecordedDatagrams = 64;
constexpr std::size_t kNumberAt = 20;  // the payload: our packet's number
constexpr std::array<std::uint8_t, 4> kInnerAddress[2] = {{198, 51, 100, 1}, {198, 51, 100, 2}};

net::Endpoint outer_address(End end, std::uint16_t port) {
  const std::array<std::uint8_t, 4> bytes = {192, 0, 2, static_cast<std::uint8_t>(end + 1)};
  return {net::IpAddress::v4(bytes.data()), port};
}

std::vector<std::uint8_t> inner_packet(End from, std::uint32_t number) {
  std::vector<std::uint8_t> packet(60, 0);
  packet[0] = 0x45;
  store_be(&packet[2], std::uint16_t{60});
  packet[8] = 64;
  packet[9] = 253;  // for experimentation (RFC 3692)
  std::copy_n(kInnerAddress[from].begin(), 4, &packet[12]);
  std::copy_n(kInnerAddress[1 - from].begin(), 4, &packet[16]);
  const std::uint16_t sum = net::checksum_fold(net::checksum_sum({packet.data(), 20}));
  store_le(&packet[10], static_cast<std::uint16_t>(~sum));
  store_be(&packet[kNumberAt], number);
  return packet;
}

}  // namespace

TunnelPair::TunnelPair(const PairOptions& options) : options_(options), rng_(options.seed) {
  for (End end = 0; end < 2; ++end) {
    rng_.fill(keys_[end].span());
    address_[end] = outer_address(end, next_port_++);
    boot(end);
  }
  // Each has to know the other's public key, which its service derives.
  for (End end = 0; end < 2; ++end)
    introduce(end);
}

TunnelPair::~TunnelPair() = default;

void TunnelPair::boot(End end) {
  auto node = std::make_unique<Node>();
  node->inner = std::make_unique<SimPort>(
      [this, end](Datagram datagram) { on_inner_delivered(end, datagram); });
  node->outer = std::make_unique<SimPort>(
      [this, end](Datagram datagram) { on_outer_sent(end, std::move(datagram)); });
  ControlLink* const link = &node->link;
  node->service = std::make_unique<control::TunnelService>(
      keys_[end], kSlotBits, std::span(&link, 1), timestamps_[end], rng_);
  WorkerOptions options;
  options.own_key = node->service->public_key();
  options.session_slot_bits = kSlotBits;
  options.max_peers = 4;
  options.crypto = tunnel::CryptoBatch::Selection::kIpsecMbOnly;
  node->worker = std::make_unique<Worker>(options, *node->inner, *node->outer, node->link, rng_);
  nodes_[end] = std::move(node);
}

void TunnelPair::introduce(End end) {
  control::TunnelPeer peer;
  peer.settings.public_key = nodes_[1 - end]->service->public_key();
  peer.settings.suite = options_.suite;
  peer.settings.ringway = options_.ringway;
  peer.persistent_keepalive = end == 0 ? options_.keepalive_a : options_.keepalive_b;
  peer.allowed_ips = {{net::IpAddress::v4(kInnerAddress[1 - end].data()), 32}};
  if (end == 0 || options_.b_knows_a) peer.endpoint = address_[1 - end];
  if (!nodes_[end]->service->add_peer(peer, now_)) violation("peer refused");
  nodes_[end]->service->apply_allowed_ips();
  settle(end);
}

void TunnelPair::shut_down(End end) {
  Node& node = *nodes_[end];
  node.worker.reset();
  for (const SimPort* port : {node.inner.get(), node.outer.get()}) {
    const BufferPool& pool = port->pool();
    if (pool.held() != 0 || pool.allocated() != pool.freed()) violation("buffers were lost");
  }
}

void TunnelPair::finish() {
  for (End end = 0; end < 2; ++end)
    shut_down(end);
}

void TunnelPair::restart(End end) {
  shut_down(end);
  boot(end);
  introduce(end);
}

void TunnelPair::move(End end) {
  address_[end] = outer_address(end, next_port_++);
}

WallTime TunnelPair::wall(End end) const {
  return WallTime::from_unix_ns(1'700'000'000'000'000'000 + now_.ns()) + wall_offset_[end];
}

void TunnelPair::violation(std::string what) {
  violations_.push_back("seed " + std::to_string(options_.seed) + ", " +
                        std::to_string((now_.ns() - 1'000'000'000'000) / 1'000'000) +
                        " ms: " + std::move(what));
}

std::uint32_t TunnelPair::send(End from) {
  const std::uint32_t number = next_number_++;
  nodes_[from]->inner->inject({inner_packet(from, number), {}});
  if (!suspended(from)) settle(from);
  return number;
}

void TunnelPair::inject_outer(End at, Datagram datagram) {
  nodes_[at]->outer->inject(std::move(datagram));
  settle(at);
}

void TunnelPair::replay_recorded(End from) {
  if (recorded_[from].empty()) return;
  const std::size_t which = rng_.below(recorded_[from].size());
  put_in_flight(from, recorded_[from][which]);
}

void TunnelPair::check_nonce(End from, const std::vector<std::uint8_t>& message) {
  if (message.size() < tunnel::DataLayout::kMinSize || message[0] != 4) return;
  ++data_messages_;
  const auto receiver = load_le<std::uint32_t>(&message[tunnel::DataLayout::kReceiver]);
  const auto counter = load_le<std::uint64_t>(&message[tunnel::DataLayout::kCounter]);
  if (!nonces_.emplace(from, receiver, counter).second) violation("a nonce was used twice");
}

void TunnelPair::on_outer_sent(End from, Datagram datagram) {
  check_nonce(from, datagram.bytes);
  if (datagram.bytes[0] == 1) ++initiations_;
  if (recorded_[from].size() < kRecordedDatagrams) {
    recorded_[from].push_back(datagram);
  } else {
    recorded_[from][rng_.below(kRecordedDatagrams)] = datagram;
  }
  if (chance(faults.loss)) return;
  const bool twice = chance(faults.duplication);
  if (chance(faults.corruption)) {
    datagram.bytes[rng_.below(datagram.bytes.size())] ^=
        static_cast<std::uint8_t>(1U << rng_.below(8));
  }
  put_in_flight(from, datagram);
  if (twice) put_in_flight(from, datagram);
}

void TunnelPair::put_in_flight(End from, const Datagram& datagram) {
  const std::int64_t spread = faults.max_delay.count_ns() - faults.min_delay.count_ns();
  const Duration delay =
      faults.min_delay + Duration::nanoseconds(static_cast<std::int64_t>(
                             rng_.below(static_cast<std::uint64_t>(spread) + 1)));
  InFlight flight{now_ + delay, next_order_++, 1 - from, datagram.remote, datagram};
  flight.datagram.remote = address_[from];
  in_flight_.push(std::move(flight));
}

void TunnelPair::on_inner_delivered(End at, const Datagram& datagram) {
  if (datagram.bytes.size() != 60) {
    violation("an inner packet changed its length");
    return;
  }
  const auto number = load_be<std::uint32_t>(&datagram.bytes[kNumberAt]);
  if (datagram.bytes != inner_packet(1 - at, number)) violation("an inner packet changed");
  if (!delivered_.insert(number).second) violation("an inner packet arrived twice");
}

// Worker and control take turns until neither has anything to do.
void TunnelPair::settle(End end) {
  Node& node = *nodes_[end];
  for (int turn = 0; turn < 100; ++turn) {
    const std::size_t moved = node.worker->run_once(now_);
    node.service->handle_events(now_, wall(end));
    if (now_ >= node.service->next_deadline()) node.service->tick(now_, wall(end));
    if (moved == 0 && node.link.commands.empty() && node.link.events.empty() &&
        node.link.handshakes.empty()) {
      return;
    }
  }
  violation("worker and control do not come to rest");
}

void TunnelPair::run_for(Duration virtual_time) {
  const Instant end_of_run = now_ + virtual_time;
  while (now_ < end_of_run) {
    Instant next = end_of_run;
    if (!in_flight_.empty()) next = std::min(next, in_flight_.top().at);
    for (End end = 0; end < 2; ++end) {
      const Instant deadline =
          std::min(nodes_[end]->worker->next_deadline(), nodes_[end]->service->next_deadline());
      next = std::min(next, std::max(deadline, suspended_until_[end]));
    }
    now_ = std::max(next, now_ + Duration::microseconds(1));
    while (!in_flight_.empty() && in_flight_.top().at <= now_) {
      InFlight arrived = in_flight_.top();
      in_flight_.pop();
      // Nobody is at an address that was left, and a sleeping machine hears nothing.
      if (arrived.destination != address_[arrived.to] || suspended(arrived.to)) continue;
      nodes_[arrived.to]->outer->inject(std::move(arrived.datagram));
    }
    for (End end = 0; end < 2; ++end) {
      if (!suspended(end)) settle(end);
    }
  }
}

std::optional<Duration> TunnelPair::time_to_reach(End from, Duration limit) {
  const Instant start = now_;
  std::vector<std::uint32_t> sent;
  while (now_ - start < limit) {
    sent.push_back(send(from));
    run_for(Duration::seconds(1));
    if (std::any_of(sent.begin(), sent.end(),
                    [&](std::uint32_t number) { return delivered(number); })) {
      return now_ - start;
    }
  }
  return std::nullopt;
}

}  // namespace ringway::sim
