// Any packets on their way to a TUN, each behind its length (2 bytes, big-endian). Every packet
// must be in exactly one write, and the bytes gathered must be those announced.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "dataplane/io/tun_merge.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway;
  std::vector<std::vector<std::uint8_t>> packets;
  while (size >= 2 && packets.size() < io::TunMerger::kMaxSlots) {
    const std::size_t length = std::min<std::size_t>(load_be<std::uint16_t>(data), size - 2);
    packets.emplace_back(data + 2, data + 2 + length);
    data += 2 + length;
    size -= 2 + length;
  }
  std::vector<Slot> slots(packets.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    slots[i].data = packets[i].data();
    slots[i].length = static_cast<std::uint32_t>(packets[i].size());
  }
  io::TunMerger merger({});
  std::size_t written = 0;
  for (const io::TunWrite& write : merger.plan(slots)) {
    written += write.segments;
    std::array<iovec, io::TunMerger::kMaxSegments> pieces;
    const std::size_t count = merger.gather(write, slots, pieces);
    CHECK(count <= pieces.size());
    std::size_t bytes = 0;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      bytes += pieces[i].iov_len;
      const auto* first = static_cast<const std::uint8_t*>(pieces[i].iov_base);
      for (std::size_t k = 0; k < pieces[i].iov_len; ++k)
        sum += first[k];
    }
    asm volatile("" : : "r"(sum));
    CHECK(bytes == write.bytes);
  }
  CHECK(written == slots.size());
  return 0;
}
