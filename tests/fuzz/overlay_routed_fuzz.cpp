// Any bytes as a routed message or a broadcast: its parts lie within it, what each hop writes can
// be written, and only what its source signed is authentic.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "overlay/sim/modelled_signatures.hpp"
#include "overlay/wire/broadcast_message.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/routed_message.hpp"

namespace {

using namespace ringway::overlay;

void check_broadcast(ringway::ConstBytes bytes) {
  const auto message = wire::parse_broadcast(bytes);
  if (!message) return;
  sim::ModelledVerifier verifier;
  const bool authentic = wire::verify(*message, {}, verifier);
  wire::ByteWriter writer;
  const wire::BroadcastHop hop{7, 8, {message->arc.to, message->arc.from}};
  wire::emit(writer, hop, message->from_origin);
  const auto again = wire::parse_broadcast(writer.view());
  CHECK(again && again->hops == 8 && again->arc == hop.arc);
  CHECK(again->message_id == message->message_id && writer.size() == bytes.size());
  CHECK(wire::verify(*again, {}, verifier) == authentic);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_broadcast({data, size});
  const auto message = wire::parse_routed({data, size});
  if (!message) return 0;
  const auto within = [&](ringway::ConstBytes part) {
    return part.empty() || (part.data() >= data && part.data() + part.size() <= data + size);
  };
  CHECK(within(message->credential) && within(message->payload) && within(message->signed_part));
  sim::ModelledVerifier verifier;
  const bool authentic = wire::verify(*message, {}, verifier);

  std::vector<std::uint8_t> passed_on(data, data + size);
  wire::store_hop_fields(passed_on, {7, 8, 9, true});
  const auto again = wire::parse_routed(passed_on);
  CHECK(again && again->hops == 8 && again->ttl == 9 && again->detour_taken);
  CHECK(wire::verify(*again, {}, verifier) == authentic);
  return 0;
}
