// Members that turned hostile. Each has links, a place on the ring and a key like any other node,
// and an overlay that works, of which it uses what serves it.
//
//   dropper      acknowledges what it should route, and lets it vanish
//   misdirector  answers lookups on their way as if the place were its own
//   liar         tells of neighbours that do not exist, at the addresses of others and of nobody
//   flooder      sends signed requests, dated ahead, and questions as fast as it may
//   replayer     sends again what it routed, to anyone
//   garbler      sends bytes at random, cut, changed and oversized messages
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "overlay/overlay.hpp"
#include "overlay/sim/connections.hpp"

namespace ringway::overlay::sim {

enum class HostileKind : std::uint8_t {
  kDropper,
  kMisdirector,
  kLiar,
  kFlooder,
  kReplayer,
  kGarbler
};
inline constexpr std::array<std::string_view, 6> kHostileNames = {
    "dropper", "misdirector", "liar", "flooder", "replayer", "garbler"};

class Hostile {
 public:
  static constexpr Duration kActs = Duration::milliseconds(200);  // this often

  // What it works with.
  struct View {
    const Overlay& overlay;
    Signer& signer;
    Sealer& sealer;
    Clock clock;
    std::size_t nodes;  // of the world, whose addresses it may misuse
  };
  struct Letter {
    LinkId link;
    std::vector<std::uint8_t> bytes;
  };
  using Letters = std::vector<Letter>;

  // generation: tells it from one that the same node was before.
  Hostile(HostileKind kind, std::uint64_t seed, std::uint32_t generation)
      : kind_(kind), generation_(generation), rng_(seed) {}

  [[nodiscard]] std::uint32_t generation() const { return generation_; }
  // A message arrives. True: its overlay shall not see it.
  [[nodiscard]] bool takes(const View& view, LinkId over, ConstBytes message, Letters& letters);
  // Its overlay sends a message. What it sends instead, or empty: the same.
  [[nodiscard]] std::vector<std::uint8_t> alters(const View& view, LinkId over, ConstBytes message);
  // Of its own will.
  void act(const View& view, Letters& letters);

 private:
  void keep(ConstBytes message);
  void flood(const View& view, LinkId over, Letters& letters);
  void replay(LinkId over, Letters& letters);
  void garble(LinkId over, Letters& letters);
  [[nodiscard]] Contacts invented_around(const View& view, const NodeId& place);
  void answer_as_if_here(const View& view, LinkId over, const wire::RoutedMessage& message,
                         Letters& letters);
  void add_request(const View& view, LinkId over, Letters& letters);

  HostileKind kind_;
  std::uint32_t generation_;
  SeededRng rng_;
  std::vector<std::vector<std::uint8_t>> kept_;  // messages of others
};

}  // namespace ringway::overlay::sim
