// A packet as a TUN hands it over: ten bytes of vnet_hdr, then the packet. Whatever is accepted
// must go through the segmenter without leaving the packet, and back to a TUN.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.hpp"
#include "dataplane/io/partial_checksum.hpp"
#include "dataplane/io/tun_vnet.hpp"
#include "dataplane/segmenter.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway;
  io::VnetHeader header;
  if (size <= sizeof header) return 0;
  std::memcpy(&header, data, sizeof header);
  // Exactly as long as the packet, so that AddressSanitizer sees a byte read past it.
  std::vector<std::uint8_t> packet(data + sizeof header, data + size);
  Slot slot;
  slot.data = packet.data();
  slot.length = static_cast<std::uint32_t>(packet.size());
  if (!io::decode_vnet(header, slot)) return 0;
  Segmenter segmenter;
  if (segmenter.start(slot)) {
    for (std::uint32_t i = 0; i < segmenter.count(); ++i) {
      std::vector<std::uint8_t> segment(segmenter.packet_bytes(i));
      CHECK(segmenter.emit(i, segment.data()) == segment.size());
    }
  }
  io::VnetHeader back;
  (void)io::encode_vnet(slot, back);
  if (slot.train == TrainKind::kNone) (void)io::complete_checksum(slot);
  return 0;
}
