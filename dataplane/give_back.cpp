#include "dataplane/give_back.hpp"

#include <cstring>

namespace ringway {
namespace {

// The rest of a packet and further answers go to the kernel by themselves, so this is far above
// what the host's own traffic needs. At 37 us each, a flood costs control 2 % of a core.
constexpr nat::TokenRate kGivenBack = {.per_second = 500, .burst = kForKernelRingEntries};

}  // namespace

void give_back(WorkerState& worker, ConstBytes packet, Instant now) {
  PacketForKernel given;
  if (packet.size() > given.data.size() || !worker.internet->given_back.take(kGivenBack, now)) {
    return worker.drop(DropReason::kGiveBackLimit);
  }
  std::memcpy(given.data.data(), packet.data(), packet.size());
  given.length = static_cast<std::uint16_t>(packet.size());
  worker.events_pushed = true;
  if (!worker.link.for_kernel.try_push(std::move(given))) worker.drop(DropReason::kGiveBackLimit);
}

}  // namespace ringway
