// Questions to the ring and their answers: the payloads of routed messages.
//
//   request   method(1) request id(8) flags(1) [reply via(20)] body
//   reply     method(1) request id(8) hops(1) body
//
//   method      request's body            reply's body
//   1 find      wants(1)                  sealed(whereabouts)
//   2 connect   wants(1) sealed(candidates)   sealed(whereabouts)
//   3 lookup    none                      none
//   16 ...      of a service              of a service
//
//   sealed       length(2), so many bytes; in a request none where the source does not know the
//                destination's key yet (sealing.hpp)
//   whereabouts  wants(1) candidates contacts
//
// find asks who is there. connect asks so of a neighbour; if it carries candidates, it asks besides
// that the other end open a link to them. The contacts of the answer are those around the source
// (connect) or the destination (find) that the answering node has links with. From 16 on the body
// belongs to a service on the ring, which parses it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "overlay/contact.hpp"
#include "overlay/crypto.hpp"

namespace ringway::overlay::wire {

enum class Method : std::uint8_t {
  kFind = 1,
  kConnect = 2,
  kLookup = 3,
  kCrawl = 32,  // wire/crawl_messages.hpp
};

// The lowest method whose body a service parses.
inline constexpr std::uint8_t kFirstServiceMethod = 16;
[[nodiscard]] constexpr bool is_service(Method method) {
  return static_cast<std::uint8_t>(method) >= kFirstServiceMethod;
}

struct Request {
  Method method = Method::kLookup;
  std::uint64_t request_id = 0;
  std::optional<NodeId> reply_via;  // the asking node is not in the ring yet, but hangs on this one
  std::uint8_t wants = 0;           // find, connect
  ConstBytes sealed;                // connect: candidates of the asking node, or none
  ConstBytes body;                  // of a service; when parsed, it points into the payload
};
struct Reply {
  Method method = Method::kLookup;
  std::uint64_t request_id = 0;
  std::uint8_t hops = 0;  // that the request took
  ConstBytes sealed;      // find, connect: whereabouts
  ConstBytes body;        // of a service; when parsed, it points into the payload
};
struct Whereabouts {
  std::uint8_t wants = 0;  // near: the answering node has no nearer one than the source
  Candidates candidates;   // of the answering node
  Contacts contacts;
};

// What stands before the whereabouts in a reply, and their seal.
inline constexpr std::size_t kSealedReplyOverhead = 1 + 8 + 1 + 2 + kSealOverhead;
// What stands before the body of a service, in the request, which has the more.
inline constexpr std::size_t kServiceOverhead = 1 + 8 + 1 + NodeId::kBytes;

[[nodiscard]] std::optional<Request> parse_request(ConstBytes payload);
[[nodiscard]] std::optional<Reply> parse_reply(ConstBytes payload);

class ByteWriter;
void emit(ByteWriter& writer, const Request& request);
void emit(ByteWriter& writer, const Reply& reply);

// Inside of a seal.
[[nodiscard]] std::optional<Candidates> parse_candidates(ConstBytes plain);
[[nodiscard]] std::optional<Whereabouts> parse_whereabouts(ConstBytes plain);
// `reserved`: bytes of a message that the seal and its envelopes need; contacts are left out where
// they do not fit.
void emit(ByteWriter& writer, const Whereabouts& whereabouts, std::size_t reserved = 0);

}  // namespace ringway::overlay::wire
