// Everything that the fast path left: new mappings and new remote addresses, TCP's beginnings and
// ends, hairpinning, ICMP errors, packets at the end of their TTL or too long for the way out.
//
//   outbound   parse ► mapping, or open one ► destination allowed? ► TCP state ► translate
//                 └─ to one of our external addresses ► hairpin: the other mapping's filter too
//   inbound    ours? ► mapping ► filter ► TCP state ► translate
//                 └─ ICMP error: the packet that it quotes names the mapping
//   fragments  either way: after their first, with its ports (slow_path_fragments.cpp)
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/nat/fragments.hpp"
#include "dataplane/nat/held_syns.hpp"
#include "dataplane/nat/icmp_error.hpp"
#include "dataplane/nat/output_queue.hpp"
#include "dataplane/nat/shard.hpp"
#include "dataplane/nat/token_bucket.hpp"

namespace ringway::nat {

class SlowPath {
 public:
  SlowPath(Shard& shard, Rng& rng);

  // Both fill in the verdict and what goes with it.
  void outbound(Packet& packet, Instant now);
  void inbound(Packet& packet, Instant now);
  void tick(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  void remove_subscriber(PeerId subscriber) { fragments_out_.remove_owner(subscriber); }

  [[nodiscard]] OutputQueue& outputs() { return outputs_; }
  [[nodiscard]] std::uint64_t errors_sent() const { return errors_sent_; }
  void count_fragments(Counters& counters) const;

 private:
  // A packet on its way through this path.
  struct Work {
    Packet& packet;
    Flow flow;
    Instant now;

    [[nodiscard]] Ticks ticks() const { return ticks_at(now); }
    [[nodiscard]] ConstBytes bytes() const { return {packet.data, packet.length}; }
    [[nodiscard]] const std::uint8_t* address(Side side) const {
      return packet.data + address_at(flow.family, side);
    }
    [[nodiscard]] bool is_tcp() const { return flow.protocol == net::kProtocolTcp; }
    void pass_to_shard(WorkerId shard) const {
      packet.verdict = Verdict::kOtherShard;
      packet.shard = shard;
    }
    // Inbound only.
    void leave_to_host() const { packet.verdict = Verdict::kNotOurs; }
    void drop(Drop why) const {
      packet.verdict = Verdict::kDrop;
      packet.drop = why;
    }
  };

  // ---- Outbound ----
  void outbound_query(const Work& work);
  void outbound_error(const Work& work);
  [[nodiscard]] Slot mapping_for(const Work& work);
  // The other shard that the packet is for, which comes to one of the external addresses.
  [[nodiscard]] std::optional<WorkerId> hairpin_shard(const Flow& flow) const;
  // The mapping behind an external endpoint that a subscriber sends to; answers with a drop.
  [[nodiscard]] Slot hairpin_target(const Work& work, std::uint16_t external_address);
  void hairpin(const Work& work, Slot from, Slot to);
  // To a subscriber of another shard; `from` is the sender's mapping.
  void hairpin_to_shard(const Work& work, Slot from, WorkerId shard);
  void refuse_mapping(const Work& work, Drop why);

  // ---- Inbound ----
  void inbound_query(const Work& work, std::uint16_t external_address);
  void inbound_error(const Work& work, std::uint16_t external_address);
  // To a port that is not of this shard's range: another's, or the host's own.
  void inbound_elsewhere(const Work& work, std::uint16_t port) const;
  [[nodiscard]] bool open_to_all(Slot slot) const;
  // A segment of a connection that may have been open before the restart.
  [[nodiscard]] bool goes_on_after_restart(const Work& work, Slot slot) const;
  [[nodiscard]] bool is_impossible_outside(const Work& work) const;
  void refuse_stranger(const Work& work, std::uint16_t external_address, Drop why);

  // ---- Fragments ----
  void outbound_fragment(Work work);
  void inbound_fragment(Work work, std::uint16_t external_address);
  void begin_unsupported(Work work, std::uint16_t external_address);
  // What waited for a first fragment that has now passed.
  void release_outbound(Instant now);
  void release_inbound(Instant now);
  void emit_released(const Packet& packet, Way way);
  void renew_identification(const Work& work);

  // ---- Both ----
  void follow_tcp(const Work& work, Slot slot, Way way, bool known_remote);
  // Rewrites, and sends on, in pieces where the way out needs it.
  void translate(const Work& work, Slot slot, Way way);
  void send_in_pieces(const Work& work, Way way, std::uint16_t mtu);
  // TTL left, and short enough or to be cut; otherwise dropped and reported.
  [[nodiscard]] bool may_pass(const Work& work, Way way);
  void report_to_subscriber(const Work& work, Report report, std::uint16_t mtu = 0);
  void report_to_internet(ConstBytes packet, const Flow& flow, Report report,
                          std::uint16_t external_address, std::uint16_t mtu, Instant now);
  void step_ttl(const Work& work) const;

  Shard& shard_;
  OutputQueue outputs_;
  HeldSyns syns_;
  ErrorLimiter limiter_;
  Fragments fragments_out_;
  Fragments fragments_in_;
  std::uint64_t errors_sent_ = 0;
  std::uint64_t released_lost_ = 0;
};

}  // namespace ringway::nat
