// A gateway's NAT between three subscribers and a few hosts on the Internet, for its tests: sends
// packets through it one by one and keeps the time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "dataplane/nat/flow.hpp"
#include "dataplane/nat/nat.hpp"
#include "tests/unit/nat_packets.hpp"

namespace ringway::nat::testing_support {

// A packet after the NAT had it.
struct Passed {
  Verdict verdict = Verdict::kDrop;
  Drop drop = Drop::kMalformed;
  PeerId subscriber;
  PacketBytes bytes;
  WorkerId shard{};

  [[nodiscard]] Flow flow() const { return parse_flow(bytes); }
  [[nodiscard]] net::Endpoint source() const;
  [[nodiscard]] net::Endpoint destination() const;
};

struct Emitted {
  bool to_internet = false;
  PeerId subscriber;
  PacketBytes bytes;
  bool to_shard = false;
  bool hairpin = false;
};

inline constexpr PeerId kAlice{1};
inline constexpr std::string_view kAliceV4 = "10.66.0.2";
inline constexpr std::string_view kAliceV6 = "fd66::2";
inline constexpr PeerId kBob{2};
inline constexpr std::string_view kBobV4 = "10.66.0.3";
inline constexpr PeerId kCarol{3};

class NatWorld {
 public:
  // One external address a family, ports 10000 to 10999, small tables.
  [[nodiscard]] static Config small_config();

  explicit NatWorld(const Config& config = small_config(), std::uint64_t seed = 1);

  // Specs name inner sources (outbound) or external destinations (inbound).
  Passed out(PeerId subscriber, const PacketSpec& spec) { return out(subscriber, build(spec)); }
  Passed out(PeerId subscriber, PacketBytes packet);
  Passed in(const PacketSpec& spec) { return in(build(spec)); }
  Passed in(PacketBytes packet, bool hairpin = false);
  // The answer to a packet that went out: its ends exchanged. Other fields as in `spec`.
  Passed answer(const Passed& sent, PacketSpec spec = {});

  // Lets time pass, with a tick a second.
  void pass(Duration time);
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] std::vector<Emitted> outputs();
  [[nodiscard]] std::vector<BlockEvent> block_events();
  [[nodiscard]] std::vector<MappingRecord> mappings() const;
  [[nodiscard]] Nat& nat() { return nat_; }

 private:
  SeededRng rng_;
  Nat nat_;
  Instant now_ = Instant::from_ns(1'000'000'000'000);
};

// From a subscriber's inner address to 198.51.100.7.
[[nodiscard]] PacketSpec udp_from(std::string_view inner, std::uint16_t port = 40'000);
[[nodiscard]] PacketSpec tcp_from(std::string_view inner, std::uint8_t flags,
                                  std::uint16_t port = 40'000);
[[nodiscard]] PacketSpec ping_from(std::string_view inner, std::uint16_t identifier = 7);

}  // namespace ringway::nat::testing_support
