#include "dataplane/lent_port.hpp"

namespace ringway {

LentPort::LentPort(const io::Port& port, std::uint32_t number, WorkerId owner, Handoff& end,
                   BufferPool& pool)
    : capabilities_(port.capabilities()), number_(number), owner_(owner), end_(end), pool_(pool) {}

std::size_t LentPort::tx_burst(std::span<Slot> slots) {
  std::uint64_t bytes = 0;
  for (Slot& slot : slots) {
    slot.interface = number_;  // by which it leaves there
    bytes += slot.length;
  }
  const auto [no_room, no_buffer, refused_bytes] = end_.give(owner_, HandoffKind::kFrame, slots);
  const std::size_t refused = no_room + no_buffer;
  counters_.tx_packets.add(slots.size() - refused);
  counters_.tx_bytes.add(bytes - refused_bytes);
  counters_.tx_bursts.increment();
  counters_.tx_dropped.add(refused);
  return refused;
}

std::size_t LentPort::alloc_burst(std::span<Slot> out) {
  std::size_t count = 0;
  while (count < out.size() && pool_.allocate(out[count]))
    ++count;
  return count;
}

std::string LentPort::describe() const {
  return "by worker " + std::to_string(owner_.value);
}

}  // namespace ringway
