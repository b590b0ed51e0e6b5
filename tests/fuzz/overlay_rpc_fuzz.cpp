// Any bytes as a request and as a reply, as what the DHT and crawls say in them, and as a member of
// a private overlay; what is understood is emitted again, byte for byte.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/check.hpp"
#include "overlay/dht/messages.hpp"
#include "overlay/dht/records.hpp"
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

void read_dht_body(ringway::ConstBytes body) {
  using namespace ringway::overlay::dht;
  expect_same(parse_record(body), body);
  expect_same(parse_store_reply(body), body);
  expect_same(parse_get(body), body);
  expect_same(parse_get_reply(body), body);
  expect_same(parse_subscribe(body), body);
  expect_same(parse_subscribe_reply(body), body);
  expect_same(parse_versions(body), body);
  expect_same(parse_offer(body), body);
  static_cast<void>(parse_credential_request(body));
  static_cast<void>(parse_credential_reply(body));
  if (const auto entry = parse_revocation(body)) {
    const auto again = encode(*entry);
    CHECK(std::equal(again.begin(), again.end(), body.begin(), body.end()));
  }
  if (const auto value = parse_value(body))
    CHECK(value->signed_part.size() + ringway::overlay::kSignatureBytes == body.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringway::overlay::wire;
  if (size > kMaxMessageBytes) return 0;
  const ringway::ConstBytes bytes(data, size);
  expect_same(parse_request(bytes), bytes);
  expect_same(parse_reply(bytes), bytes);
  expect_same(parse_whereabouts(bytes), bytes);
  if (const auto candidates = parse_candidates(bytes)) {
    ByteWriter writer;
    writer.candidates(*candidates);
    CHECK(std::equal(writer.view().begin(), writer.view().end(), bytes.begin(), bytes.end()));
  }
  expect_same(parse_crawl_reply(bytes), bytes);
  if (const auto member = ringway::overlay::parse_member(bytes)) {
    const auto again = ringway::overlay::encode_member(*member);
    CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  }
  read_dht_body(bytes);
  return 0;
}
