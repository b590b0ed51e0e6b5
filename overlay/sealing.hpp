// Candidates that travel through the ring are sealed to the node that they are for:
// no node on the way reads where another may be reached. The seal is bound to the group, both ends
// and the message that carries it, so it opens nowhere else. What goes over a link needs none: a
// link is a session between its two ends.
#pragma once

#include <array>
#include <optional>

#include "overlay/core.hpp"
#include "overlay/wire/routed_message.hpp"
#include "overlay/wire/rpc_messages.hpp"

namespace ringway::overlay {

// Where a sealed part stands, which its seal is bound to.
struct SealedIn {
  NodeId source;
  NodeId destination;
  std::uint64_t message_id = 0;
};

// The part of a message that is sealed, or what was in it.
class SealedPart {
 public:
  [[nodiscard]] ConstBytes view() const { return {bytes_.data(), size_}; }

  // False, and counted, where nothing can be sealed to that key.
  [[nodiscard]] static bool seal(Core& core, const SealingKey& to, const SealedIn& in,
                                 ConstBytes plain, SealedPart& sealed);
  // False, and counted, for what was not sealed to this node in that very message.
  [[nodiscard]] static bool open(Core& core, const wire::RoutedMessage& message, ConstBytes sealed,
                                 SealedPart& plain);

 private:
  std::size_t size_ = 0;
  std::array<std::uint8_t, wire::kMaxMessageBytes> bytes_;  // written as far as size_ says
};

// Those that came sealed in the message; empty, and counted, where they cannot be read.
[[nodiscard]] std::optional<Candidates> open_candidates(Core& core,
                                                        const wire::RoutedMessage& message,
                                                        ConstBytes sealed);
[[nodiscard]] std::optional<wire::Whereabouts> open_whereabouts(Core& core,
                                                                const wire::RoutedMessage& message,
                                                                ConstBytes sealed);

// "Ringway sealed part 1", the group and where it stands: the associated data of the seal.
inline constexpr std::size_t kSealContextBytes = 21 + 16 + 2 * NodeId::kBytes + 8;
using SealContext = std::array<std::uint8_t, kSealContextBytes>;
[[nodiscard]] SealContext seal_context(const wire::GroupId& group, const SealedIn& in);

}  // namespace ringway::overlay
