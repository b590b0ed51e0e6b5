// Any bytes as a capture file: the reader, and the port that replays it.
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "dataplane/io/pcap_file.hpp"
#include "dataplane/io/pcap_port.hpp"
#include "dataplane/io/slot_tools.hpp"

namespace {

using namespace ringway;

struct Content {
  bool valid = false;
  std::size_t records = 0;
  std::size_t bytes = 0;
};

Content read_all(ConstBytes file) {
  Content content;
  auto reader = io::PcapReader::parse(file);
  if (!reader) return content;
  for (;;) {
    const auto record = reader->next();
    if (!record) return content;
    if (!*record) break;
    const ConstBytes bytes = (*record)->bytes;
    CHECK(bytes.data() >= file.data());
    CHECK(bytes.data() + bytes.size() <= file.data() + file.size());
    CHECK((*record)->original_bytes >= bytes.size());
    ++content.records;
    content.bytes += bytes.size();
  }
  content.valid = true;
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> exact(data, data + size);
  const Content content = read_all(exact);
  io::PcapReplayConfig config;
  config.buffer_count = 4;
  const auto port = io::PcapReplayPort::open(std::move(exact), config);
  CHECK(port.has_value() == content.valid);
  if (!port) return 0;
  std::array<Slot, 8> out;
  std::size_t records = 0;
  std::size_t bytes = 0;
  while (const std::size_t got = (*port)->rx_burst(out)) {
    for (const Slot& slot : std::span(out).first(got))
      bytes += slot.length;
    records += got;
    io::release_all(std::span(out).first(got));
  }
  CHECK(records == content.records && bytes == content.bytes);
  CHECK((*port)->pool().held() == 0);
  return 0;
}
