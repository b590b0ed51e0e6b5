// A gateway's kept state. The checksum of the input is put right, so that the fuzzer sees behind
// it; what is understood is written again as the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "controlplane/nat_state/kept_state.hpp"

namespace {

using namespace ringway;

void put_checksum_right(std::vector<std::uint8_t>& file) {
  if (file.size() < 8) return;
  std::uint64_t sum = 0xcbf2'9ce4'8422'2325;
  for (std::size_t i = 0; i < file.size() - 8; ++i)
    sum = (sum ^ file[i]) * 0x0000'0100'0000'01b3;
  store_le(&file[file.size() - 8], sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> file(data, data + size);
  put_checksum_right(file);
  const auto state = control::parse_kept_state(file);
  if (!state) return 0;
  control::KeptStateWriter writer;
  std::vector<std::uint8_t> again;
  const auto append = [&](ConstBytes bytes) {
    again.insert(again.end(), bytes.begin(), bytes.end());
  };
  append(writer.begin(state->moment, state->peers));
  append(writer.add(state->mappings));
  append(writer.end());
  CHECK(again == file);
  return 0;
}
