// An Ethernet frame as a virtual device hands it over. Nothing outside the frame is read; a frame
// that is marked can be completed, and then is not marked again, unless its right checksum looks
// like its pseudo-header's sum.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "dataplane/io/partial_checksum.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway;
  if (size > UINT16_MAX) return 0;
  // Exactly as long as the frame, so that AddressSanitizer sees a byte read past it.
  std::vector<std::uint8_t> frame(data, data + size);
  Slot slot;
  slot.data = frame.data();
  slot.length = static_cast<std::uint32_t>(frame.size());
  io::mark_partial_checksum(slot);
  if (slot.checksum != ChecksumState::kPartial) return 0;
  CHECK(io::complete_checksum(slot));
  const std::vector<std::uint8_t> completed = frame;
  slot.checksum = ChecksumState::kUnknown;
  io::mark_partial_checksum(slot);
  if (slot.checksum == ChecksumState::kPartial) {
    CHECK(io::complete_checksum(slot));
    CHECK(frame == completed);
  }
  return 0;
}
