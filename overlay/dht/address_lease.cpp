#include "overlay/dht/address_lease.hpp"

#include <utility>

#include "base/check.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

constexpr std::uint32_t kMaxAttempts = 64;
constexpr Duration kRetry = Duration::seconds(2);
constexpr unsigned kIpv4Bits = 32;
// The lowest address of a network is for services, as in IPOP; the one below it names the network,
// the highest one is for broadcast.
constexpr std::uint32_t kFirstHost = 2;

}  // namespace

void AddressLease::take_from(const net::Prefix& network, std::optional<net::IpAddress> fixed) {
  CHECK(network.address.is_v4());
  network_ = network;
  fixed_ = fixed;
  wanted_ = true;
  attempt_ = 0;
  try_next();
}

net::IpAddress AddressLease::candidate() const {
  wire::ByteWriter text;
  text.node_id(core_.self());
  text.number(attempt_);
  const NodeId hash = core_.verifier.place_of(text.view());
  const std::uint64_t hosts = std::uint64_t{1} << (kIpv4Bits - network_.length);
  const std::uint64_t usable = hosts > kFirstHost + 1 ? hosts - kFirstHost - 1 : 1;
  const std::uint64_t host = hash.from_zero().high % usable + (hosts > usable ? kFirstHost : 0);
  std::uint8_t bytes[4];
  store_be(bytes, static_cast<std::uint32_t>(load_be<std::uint32_t>(network_.address.bytes.data()) +
                                             host));
  return net::IpAddress::v4(bytes);
}

void AddressLease::try_next() {
  if (attempt_ >= kMaxAttempts || (fixed_ && attempt_ > 0)) {
    wanted_ = false;
    core_.output.tell(output::AddressTaken{});
    return;
  }
  trying_ = fixed_ ? *fixed_ : candidate();
  ++attempt_;
  due_ = core_.now();
  core_.wake_at(due_);
}

std::vector<std::uint8_t> AddressLease::name() const {
  const ConstBytes bytes = trying_.view();
  return {bytes.begin(), bytes.end()};
}

void AddressLease::tick() {
  if (core_.now() < due_) {
    core_.wake_at(due_);
    return;
  }
  due_ = Instant::never();
  Order order;
  order.task = Task::kCreate;
  order.kind = Kind::kLease;
  order.name = name();
  order.asker = Asker::kLease;
  order_ = order;
}

std::optional<Order> AddressLease::take_order() {
  return std::exchange(order_, std::nullopt);
}

void AddressLease::on_done(const Done& done) {
  if (!wanted_ || done.order.name != name()) return;
  if (done.result == Result::kDone) {
    held_ = trying_;
    core_.output.tell(output::AddressTaken{held_});
  } else if (done.result == Result::kHeld) {
    try_next();
  } else {
    due_ = core_.now() + kRetry + core_.jitter(kRetry);
    core_.wake_at(due_);
  }
}

void AddressLease::on_lost(const std::vector<std::uint8_t>& lost, const NodeId& holder) {
  if (!held_ || lost != name()) return;
  core_.output.tell(output::AddressLost{*held_, holder});
  held_.reset();
  attempt_ = fixed_ ? attempt_ : 0;
  try_next();
}

}  // namespace ringway::overlay::dht
