// Any plaintext as a control frame; what is understood is emitted again and must mean the same.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "dataplane/tunnel/control_frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway::tunnel;
  const auto frame = parse_control_frame({data, size});
  if (!frame) return 0;
  const auto emitted = emit_control_frame(*frame);
  const auto again = parse_control_frame(emitted);
  CHECK(again && again->index() == frame->index());
  CHECK(emit_control_frame(*again) == emitted);
  return 0;
}
