// Any datagrams, each behind its length (2 bytes, big-endian), at the outer port of a worker with a
// live session: counted, and nothing delivered; every buffer comes home.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "dataplane/worker.hpp"
#include "tests/sim/sim_port.hpp"

namespace {

using namespace ringway;

constexpr Instant kNow = Instant::from_ns(1'000'000'000'000);

struct Target {
  SeededRng rng{1};
  ControlLink link;
  std::uint64_t delivered = 0;
  sim::SimPort inner{[this](const sim::Datagram&) { ++delivered; }};
  sim::SimPort outer{[](const sim::Datagram&) {}};
  std::unique_ptr<Worker> worker;

  Target() {
    WorkerOptions options;
    options.session_slot_bits = 4;
    options.max_peers = 4;
    options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
    worker = std::make_unique<Worker>(options, inner, outer, link, rng);
    tunnel::SessionKeys keys;
    keys.peer = PeerId{1};
    keys.initiator = true;
    keys.local_index = ReceiverIndex{0x01010101};
    keys.remote_index = ReceiverIndex{2};
    keys.created = kNow;
    CHECK(link.commands.try_push(command::AddPeer{std::make_unique<Peer>(PeerId{1}, true)}));
    CHECK(link.commands.try_push(command::InstallSession{std::make_unique<tunnel::Session>(keys)}));
    (void)worker->run_once(kNow);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  std::uint8_t address[4] = {192, 0, 2, 1};
  const net::Endpoint stranger{net::IpAddress::v4(address), 9};
  while (size >= 2) {
    const std::size_t length = std::min<std::size_t>(load_be<std::uint16_t>(data), size - 2);
    target.outer.inject({{data + 2, data + 2 + length}, stranger});
    data += 2 + length;
    size -= 2 + length;
  }
  while (target.worker->run_once(kNow) > 0) {
  }
  while (target.link.handshakes.try_pop()) {
  }
  while (target.link.events.try_pop()) {
  }
  CHECK(target.delivered == 0);
  CHECK(target.outer.pool().held() == 0 && target.inner.pool().held() == 0);
  return 0;
}
