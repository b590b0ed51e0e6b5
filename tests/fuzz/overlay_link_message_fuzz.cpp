// Any bytes as a message between the ends of an overlay link; what is understood is emitted again,
// byte for byte.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway::overlay::wire;
  const auto message = parse_link_message({data, size});
  if (!message) return 0;
  ByteWriter writer;
  emit(writer, *message);
  CHECK(std::equal(writer.view().begin(), writer.view().end(), data, data + size));
  return 0;
}
