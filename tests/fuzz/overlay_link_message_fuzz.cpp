// Any bytes as a message between the ends of an overlay link, those about relays among them; what
// is understood is emitted again, byte for byte.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "overlay/relay/relay_messages.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway::overlay::wire;
  ByteWriter writer;
  if (is_relay_message({data, size})) {
    const auto message = parse_relay_message({data, size});
    if (!message) return 0;
    emit(writer, *message);
  } else {
    const auto message = parse_link_message({data, size});
    if (!message) return 0;
    emit(writer, *message);
  }
  CHECK(std::equal(writer.view().begin(), writer.view().end(), data, data + size));
  return 0;
}
