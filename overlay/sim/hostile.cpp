#include "overlay/sim/hostile.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "overlay/sealing.hpp"
#include "overlay/sim/modelled_signatures.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/rpc_messages.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::size_t kLinksAtATime = 6;
constexpr int kFloodBurst = 10;  // messages over a link, five times a second
constexpr int kReplayBurst = 3;
constexpr int kGarbleBurst = 3;
constexpr std::size_t kKept = 64;
constexpr std::size_t kLongest = 4000;               // bytes: far more than a message may have
constexpr Duration kAhead = Duration::seconds(110);  // of the time in its messages
constexpr std::size_t kLies = 4;                     // contacts in a list
constexpr std::uint32_t kNobody = 0x4000'0000;       // no node has such an index
constexpr std::uint8_t kTypes = 9;                   // of link messages

std::vector<std::uint8_t> copy(ConstBytes bytes) {
  return {bytes.begin(), bytes.end()};
}

template <typename Message>
std::vector<std::uint8_t> emitted(const Message& message) {
  wire::ByteWriter writer;
  wire::emit(writer, message);
  return copy(writer.view());
}

std::vector<std::uint8_t> signed_message(const Hostile::View& view, wire::RoutedMessage& message,
                                         ConstBytes payload) {
  message.source = view.overlay.self();
  message.ttl = 100;
  message.credential = view.signer.credential();
  message.payload = payload;
  wire::ByteWriter writer;
  wire::emit_signed(writer, message, {}, view.signer);
  return copy(writer.view());
}

// For the destination of that message.
std::vector<std::uint8_t> sealed(const Hostile::View& view, const wire::RoutedMessage& message,
                                 ConstBytes plain) {
  std::vector<std::uint8_t> part(plain.size() + kSealOverhead);
  const SealContext context =
      seal_context({}, {view.overlay.self(), message.destination, message.message_id});
  CHECK(view.sealer.seal(ModelledSealer::key_of(message.destination), context, plain, part));
  return part;
}

}  // namespace

// --- What comes and goes -------------------------------------------------------------------------

void Hostile::keep(ConstBytes message) {
  if (kept_.size() < kKept) {
    kept_.push_back(copy(message));
  } else {
    kept_[rng_.below(kKept)] = copy(message);
  }
}

bool Hostile::takes(const View& view, LinkId over, ConstBytes message, Letters& letters) {
  if (kind_ == HostileKind::kReplayer || kind_ == HostileKind::kGarbler) keep(message);
  if (kind_ != HostileKind::kDropper && kind_ != HostileKind::kMisdirector) return false;
  const auto routed = wire::parse_routed(message);
  if (!routed || routed->destination == view.overlay.self()) return false;
  if (kind_ == HostileKind::kMisdirector) {
    const auto request = wire::parse_request(routed->payload);
    const bool lookup = routed->payload_type == wire::PayloadType::kRequest && request &&
                        request->method == wire::Method::kLookup;
    if (!lookup) return false;
    answer_as_if_here(view, over, *routed, letters);
  }
  letters.push_back({over, emitted(wire::LinkMessage(wire::HopAck{routed->sequence}))});
  return true;
}

void Hostile::answer_as_if_here(const View& view, LinkId over, const wire::RoutedMessage& message,
                                Letters& letters) {
  const auto request = wire::parse_request(message.payload);
  wire::Reply reply;
  reply.method = request->method;
  reply.request_id = request->request_id;
  reply.hops = message.hops;
  wire::ByteWriter payload;
  wire::emit(payload, reply);
  wire::RoutedMessage answer;
  answer.destination = message.source;
  answer.route = {wire::Direction::kNearest, true, true};
  answer.message_id = rng_.next_u64();
  answer.sent = view.clock.wall;
  answer.payload_type = wire::PayloadType::kReply;
  letters.push_back({over, signed_message(view, answer, payload.view())});
}

std::vector<std::uint8_t> Hostile::alters(const View& view, LinkId over, ConstBytes message) {
  if (kind_ != HostileKind::kLiar) return {};
  NodeId told = view.overlay.self();
  for (const Link& link : view.overlay.links())
    if (link.id == over) told = link.node;
  if (const auto parsed = wire::parse_link_message(message)) {
    if (const auto* const status = std::get_if<wire::Status>(&*parsed))
      return emitted(
          wire::LinkMessage(wire::Status{status->list_version, invented_around(view, told)}));
    return {};
  }
  auto routed = wire::parse_routed(message);
  if (!routed || routed->source != view.overlay.self() ||
      routed->payload_type != wire::PayloadType::kReply)
    return {};
  auto reply = wire::parse_reply(routed->payload);
  if (!reply || reply->sealed.empty()) return {};
  wire::Whereabouts invented;
  invented.candidates = view.overlay.candidates();
  invented.contacts = invented_around(view, routed->destination);
  wire::ByteWriter plain;
  wire::emit(plain, invented,
             wire::kRoutedOverhead + view.signer.credential().size() + wire::kSealedReplyOverhead);
  const std::vector<std::uint8_t> part = sealed(view, *routed, plain.view());
  reply->sealed = part;
  wire::ByteWriter payload;
  wire::emit(payload, *reply);
  std::vector<std::uint8_t> lie = signed_message(view, *routed, payload.view());
  wire::store_hop_fields(lie, {routed->sequence, routed->hops, routed->ttl, routed->detour_taken});
  return lie;
}

// Nodes right beside the place, half of them where a true node lives and half where nobody does.
Contacts Hostile::invented_around(const View& view, const NodeId& place) {
  Contacts contacts;
  for (std::size_t i = 0; i < kLies; ++i) {
    const Distance near{0, rng_.next_u64(), rng_.next_u32()};
    Contact contact;
    contact.node = advance(place, i % 2 == 0 ? near : Distance{} - near);
    const auto at = static_cast<NodeIndex>(rng_.below(view.nodes));
    contact.candidates.add(endpoint_of(i < kLies / 2 ? at : kNobody + at));
    contacts.add(contact);
  }
  return contacts;
}

// --- Of its own will -----------------------------------------------------------------------------

void Hostile::act(const View& view, Letters& letters) {
  const LinkTable& links = view.overlay.links();
  for (std::size_t i = 0; i < std::min(kLinksAtATime, links.size()); ++i) {
    const LinkId over = (links.begin() + static_cast<std::ptrdiff_t>(rng_.below(links.size())))->id;
    if (kind_ == HostileKind::kFlooder) flood(view, over, letters);
    if (kind_ == HostileKind::kReplayer) replay(over, letters);
    if (kind_ == HostileKind::kGarbler) garble(over, letters);
  }
}

void Hostile::add_request(const View& view, LinkId over, Letters& letters) {
  wire::Request request;
  request.method = static_cast<wire::Method>(1 + rng_.below(3));
  request.request_id = rng_.next_u64();
  request.wants = static_cast<std::uint8_t>(rng_.below(wire::kAllWants + 1U));
  wire::RoutedMessage message;
  message.destination = NodeId::random(rng_);
  for (const Link& link : view.overlay.links())
    if (link.id == over && rng_.below(2) == 0) message.destination = link.node;
  message.message_id = rng_.next_u64();
  message.sent = view.clock.wall + kAhead;
  Candidates candidates;
  candidates.add(endpoint_of(static_cast<NodeIndex>(rng_.below(view.nodes))));
  wire::ByteWriter plain;
  plain.candidates(candidates);
  const std::vector<std::uint8_t> part = sealed(view, message, plain.view());
  if (request.method == wire::Method::kConnect) request.sealed = part;
  wire::ByteWriter payload;
  wire::emit(payload, request);
  letters.push_back({over, signed_message(view, message, payload.view())});
}

void Hostile::flood(const View& view, LinkId over, Letters& letters) {
  for (int i = 0; i < kFloodBurst; ++i) {
    switch (rng_.below(4)) {
      case 0:
        letters.push_back({over, emitted(wire::LinkMessage(wire::StatusRequest{}))});
        break;
      case 1:
        letters.push_back({over, emitted(wire::LinkMessage(wire::Ping{rng_.next_u32()}))});
        break;
      default:
        add_request(view, over, letters);
    }
  }
}

void Hostile::replay(LinkId over, Letters& letters) {
  for (int i = 0; i < kReplayBurst && !kept_.empty(); ++i) {
    std::vector<std::uint8_t> bytes = kept_[rng_.below(kept_.size())];
    if (const auto routed = wire::parse_routed(bytes))
      wire::store_hop_fields(bytes, {static_cast<std::uint16_t>(rng_.next_u32()), 0, 100, false});
    letters.push_back({over, std::move(bytes)});
  }
}

void Hostile::garble(LinkId over, Letters& letters) {
  for (int i = 0; i < kGarbleBurst; ++i) {
    std::vector<std::uint8_t> bytes;
    if (kept_.empty() || rng_.below(2) == 0) {
      bytes.resize(rng_.below(kLongest));
      rng_.fill(bytes);
      if (bytes.size() >= 2 && rng_.below(2) == 0) {
        bytes[0] = wire::kVersion;
        bytes[1] = static_cast<std::uint8_t>(1 + rng_.below(kTypes));
      }
    } else {
      bytes = kept_[rng_.below(kept_.size())];
      if (rng_.below(2) == 0) bytes.resize(rng_.below(bytes.size() + 8));
      if (!bytes.empty() && rng_.below(2) == 0)
        bytes[rng_.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << rng_.below(8));
    }
    letters.push_back({over, std::move(bytes)});
  }
}

}  // namespace ringway::overlay::sim
