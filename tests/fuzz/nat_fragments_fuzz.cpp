// Fragments in any order. The input is a mode and a list of records:
//   mode(1) { owner and time step(1) length(1) packet(length) }...
// In mode 0 the table is small and time passes: the books agree, and no more is held than allowed.
// In the others it is roomy and time stands still: a receiver of what passed never sees two
// versions of a byte.
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "base/check.hpp"
#include "dataplane/nat/fragments.hpp"

namespace {

using namespace ringway;
using namespace ringway::nat;
using Packet = std::vector<std::uint8_t>;

constexpr FragmentLimits kSmall = {
    .datagrams = 6, .datagrams_per_source = 4, .held = 5, .held_per_source = 3, .held_bytes = 128};
// More than an input of libFuzzer's default length can fill.
constexpr FragmentLimits kRoomy = {.datagrams = 256,
                                   .datagrams_per_source = 256,
                                   .held = 256,
                                   .held_per_source = 256,
                                   .held_bytes = 256};

// Units of eight bytes of each datagram, until it is complete.
class Receiver {
 public:
  void take(PeerId owner, ConstBytes packet, const Flow& flow) {
    const ConstBytes addresses =
        packet.subspan(address_at(flow.family, Side::kSource), 2 * address_bytes(flow.family));
    const Key key = {owner.value, flow.identification, Packet(addresses.begin(), addresses.end()),
                     flow.is_v4() ? flow.protocol : std::uint8_t{0}};
    Datagram& datagram = datagrams_[key];
    const std::size_t end = flow.fragment_offset + packet.size() - flow.fragment_data_at();
    for (std::size_t at = flow.fragment_offset; at < end; at += 8)
      CHECK(datagram.units.insert(at).second);
    if (!flow.more_fragments) datagram.end = end;
    if (datagram.end != 0 && datagram.units.size() == (datagram.end + 7) / 8) {
      datagrams_.erase(key);
    }
  }

 private:
  using Key = std::tuple<std::uint32_t, std::uint32_t, Packet, std::uint8_t>;
  struct Datagram {
    std::set<std::size_t> units;
    std::size_t end = 0;
  };
  std::map<Key, Datagram> datagrams_;
};

struct Run {
  explicit Run(bool is_small) : small(is_small) {}

  void accept(PeerId owner, const Packet& packet) {
    Flow flow = parse_flow(packet);
    if (!flow.is_fragment()) return;
    const Fragments::Verdict verdict = fragments.accept(owner, packet, flow, now);
    held += verdict == Fragments::Verdict::kHeld ? 1 : 0;
    if (verdict == Fragments::Verdict::kPass && !small) receiver.take(owner, packet, flow);
    for (Fragments::Released r; fragments.pop_released(r); ++came_out) {
      CHECK(r.flow.kind == Kind::kLaterFragment && r.packet.size() <= limits.held_bytes);
      CHECK(r.owner == owner && r.flow.source_port == flow.source_port);
      if (!small) receiver.take(r.owner, r.packet, r.flow);
    }
    const Fragments::Counts& counts = fragments.counts();
    CHECK(held == came_out + counts.held + counts.expired + counts.discarded);
    CHECK(counts.held <= limits.held && fragments.datagrams() <= limits.datagrams);
  }

  bool small;
  FragmentLimits limits = small ? kSmall : kRoomy;
  SeededRng rng{1};
  Fragments fragments{limits, rng, nullptr};
  Receiver receiver;
  Instant now = Instant::from_ns(0);
  std::uint64_t held = 0;
  std::uint64_t came_out = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Run run(data[0] == 0);
  for (++data, --size; size >= 2;) {
    const PeerId owner = (data[0] & 1) != 0 ? PeerId{5} : PeerId::none();
    const std::size_t length = data[1] < size - 2 ? data[1] : size - 2;
    if (run.small) {
      run.now = run.now + Duration::milliseconds((data[0] >> 1) * 10);
      if ((data[0] & 0x80) != 0) run.fragments.tick(run.now);
    }
    run.accept(owner, Packet(data + 2, data + 2 + length));
    data += 2 + length;
    size -= 2 + length;
  }
  for (int i = 0; i < 16; ++i)
    run.fragments.tick(run.now + run.limits.lifetime);
  CHECK(run.fragments.datagrams() == 0 && run.fragments.counts().held == 0);
  return 0;
}
