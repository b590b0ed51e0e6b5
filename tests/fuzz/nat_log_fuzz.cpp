// Lines of the NAT's log. What is understood is formatted to a line that means the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "controlplane/nat_state/nat_log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway::control;
  auto line = parse_nat_log_line({reinterpret_cast<const char*>(data), size});
  if (!line) return 0;
  const auto again = parse_nat_log_line(format_nat_log_line(*line));
  // The form has milliseconds.
  for (ringway::WallTime* time : {&line->at, &line->since})
    *time = ringway::WallTime::from_unix_ns(time->unix_ns() / 1'000'000 * 1'000'000);
  CHECK(again && *again == *line);
  return 0;
}
