#include "overlay/wire/rpc_messages.hpp"

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"

namespace ringway::overlay::wire {
namespace {

constexpr std::uint8_t kReplyViaFlag = 1;

Method read_method(ByteReader& reader) {
  const auto method = static_cast<Method>(reader.number<std::uint8_t>());
  const bool of_the_ring = method >= Method::kFind && method <= Method::kLookup;
  if (!of_the_ring && !is_service(method)) reader.fail();
  return method;
}

// What is sealed is not empty.
ConstBytes read_sealed(ByteReader& reader) {
  const ConstBytes sealed = reader.sized_bytes(kMaxMessageBytes);
  if (!sealed.empty() && sealed.size() <= kSealOverhead) reader.fail();
  return sealed;
}

std::uint8_t read_wants(ByteReader& reader) {
  const auto wants = reader.number<std::uint8_t>();
  if ((wants & ~kAllWants) != 0) reader.fail();
  return wants;
}

}  // namespace

std::optional<Request> parse_request(ConstBytes payload) {
  ByteReader reader(payload);
  Request request;
  request.method = read_method(reader);
  request.request_id = reader.number<std::uint64_t>();
  const auto flags = reader.number<std::uint8_t>();
  if (flags > kReplyViaFlag) reader.fail();
  if (flags == kReplyViaFlag) request.reply_via = reader.node_id();
  if (is_service(request.method)) {
    request.body = reader.rest();
  } else if (request.method != Method::kLookup) {
    request.wants = read_wants(reader);
    if (request.method == Method::kConnect) request.sealed = read_sealed(reader);
  }
  if (!reader.complete()) return std::nullopt;
  return request;
}

std::optional<Reply> parse_reply(ConstBytes payload) {
  ByteReader reader(payload);
  Reply reply;
  reply.method = read_method(reader);
  reply.request_id = reader.number<std::uint64_t>();
  reply.hops = reader.number<std::uint8_t>();
  if (is_service(reply.method)) {
    reply.body = reader.rest();
  } else if (reply.method != Method::kLookup) {
    reply.sealed = read_sealed(reader);
    if (reply.sealed.empty()) reader.fail();
  }
  if (!reader.complete()) return std::nullopt;
  return reply;
}

void emit(ByteWriter& writer, const Request& request) {
  writer.byte(static_cast<std::uint8_t>(request.method));
  writer.number(request.request_id);
  writer.byte(request.reply_via ? kReplyViaFlag : 0);
  if (request.reply_via) writer.node_id(*request.reply_via);
  if (is_service(request.method)) writer.bytes(request.body);
  if (is_service(request.method) || request.method == Method::kLookup) return;
  writer.byte(request.wants);
  if (request.method == Method::kConnect) writer.sized_bytes(request.sealed);
}

void emit(ByteWriter& writer, const Reply& reply) {
  writer.byte(static_cast<std::uint8_t>(reply.method));
  writer.number(reply.request_id);
  writer.byte(reply.hops);
  if (is_service(reply.method)) writer.bytes(reply.body);
  if (is_service(reply.method) || reply.method == Method::kLookup) return;
  writer.sized_bytes(reply.sealed);
}

std::optional<Candidates> parse_candidates(ConstBytes plain) {
  ByteReader reader(plain);
  const Candidates candidates = reader.candidates();
  return reader.complete() ? std::optional(candidates) : std::nullopt;
}

std::optional<Whereabouts> parse_whereabouts(ConstBytes plain) {
  ByteReader reader(plain);
  Whereabouts whereabouts;
  whereabouts.wants = read_wants(reader);
  whereabouts.candidates = reader.candidates();
  whereabouts.contacts = reader.contacts();
  return reader.complete() ? std::optional(whereabouts) : std::nullopt;
}

void emit(ByteWriter& writer, const Whereabouts& whereabouts, std::size_t reserved) {
  writer.byte(whereabouts.wants);
  writer.candidates(whereabouts.candidates);
  writer.contacts(whereabouts.contacts, reserved);
}

}  // namespace ringway::overlay::wire
