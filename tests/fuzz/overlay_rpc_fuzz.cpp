// Any bytes as a request and as a reply, as what a crawl brings, and as a member of a private
// overlay; what is understood is emitted again, byte for byte.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/check.hpp"
#include "overlay/meeting/meeting.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/crawl_messages.hpp"
#include "overlay/wire/rpc_messages.hpp"

namespace {

template <typename Message>
void expect_same(const std::optional<Message>& message, ringway::ConstBytes bytes) {
  if (!message) return;
  ringway::overlay::wire::ByteWriter writer;
  emit(writer, *message);
  CHECK(std::equal(writer.view().begin(), writer.view().end(), bytes.begin(), bytes.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway::overlay::wire;
  if (size > kMaxMessageBytes) return 0;
  const ringway::ConstBytes bytes(data, size);
  expect_same(parse_request(bytes), bytes);
  expect_same(parse_reply(bytes), bytes);
  expect_same(parse_crawl_reply(bytes), bytes);
  if (const auto member = ringway::overlay::parse_member(bytes)) {
    const auto again = ringway::overlay::encode_member(*member);
    CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  }
  return 0;
}
