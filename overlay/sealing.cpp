#include "overlay/sealing.hpp"

#include <algorithm>
#include <string_view>

#include "base/check.hpp"

namespace ringway::overlay {
namespace {

constexpr std::string_view kDomain = "Ringway sealed part 1";
static_assert(kSealContextBytes ==
              kDomain.size() + sizeof(wire::GroupId) + 2 * NodeId::kBytes + sizeof(std::uint64_t));

// What the parser of a sealed part makes of it.
template <typename Parser>
auto open_with(Parser parse, Core& core, const wire::RoutedMessage& message, ConstBytes sealed)
    -> decltype(parse(sealed)) {
  SealedPart plain;
  if (!SealedPart::open(core, message, sealed, plain)) return std::nullopt;
  auto parsed = parse(plain.view());
  if (!parsed) core.drops.add(Drop::kMalformed);
  return parsed;
}

}  // namespace

SealContext seal_context(const wire::GroupId& group, const SealedIn& in) {
  SealContext context;
  std::uint8_t* to = std::copy(kDomain.begin(), kDomain.end(), context.data());
  to = std::copy(group.begin(), group.end(), to);
  in.source.to_bytes(to);
  in.destination.to_bytes(to + NodeId::kBytes);
  store_be(to + 2 * NodeId::kBytes, in.message_id);
  return context;
}

bool SealedPart::seal(Core& core, const SealingKey& to, const SealedIn& in, ConstBytes plain,
                      SealedPart& sealed) {
  CHECK(plain.size() + kSealOverhead <= sealed.bytes_.size());
  sealed.size_ = plain.size() + kSealOverhead;
  const SealContext context = seal_context(core.identity.group, in);
  if (core.sealer.seal(to, context, plain, {sealed.bytes_.data(), sealed.size_})) return true;
  core.drops.add(Drop::kSealRefused);
  return false;
}

bool SealedPart::open(Core& core, const wire::RoutedMessage& message, ConstBytes sealed,
                      SealedPart& plain) {
  CHECK(sealed.size() >= kSealOverhead && sealed.size() <= plain.bytes_.size());
  plain.size_ = sealed.size() - kSealOverhead;
  const SealContext context =
      seal_context(core.identity.group, {message.source, message.destination, message.message_id});
  if (core.sealer.open(context, sealed, {plain.bytes_.data(), plain.size_})) return true;
  core.drops.add(Drop::kSealBroken);
  return false;
}

std::optional<Candidates> open_candidates(Core& core, const wire::RoutedMessage& message,
                                          ConstBytes sealed) {
  return open_with(wire::parse_candidates, core, message, sealed);
}

std::optional<wire::Whereabouts> open_whereabouts(Core& core, const wire::RoutedMessage& message,
                                                  ConstBytes sealed) {
  return open_with(wire::parse_whereabouts, core, message, sealed);
}

}  // namespace ringway::overlay
