// Before packets are written to a TUN: consecutive segments of one TCP flow become one
// super-packet, and so do equal datagrams of one UDP flow, so that the kernel carries them up its
// stack once and not each by itself. What GRO does in a NIC's driver; this is its place for a
// tunnel.
//
// Nothing is copied: a plan is a list of writes, each of them a header and the payloads that follow
// it. Two things always hold:
//   - Cutting a super-packet up again yields the packets it was made of, byte for byte (only the
//     identification of IPv4 packets with DF may differ, which has no meaning there, RFC 6864).
//     So headers must agree in everything that segmentation copies, and all checksums were right.
//   - Packets of one flow leave in the order in which they came. What cannot be merged ends its
//     flow's open super-packet; what may belong to any flow (fragments, options) ends all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/uio.h>

#include "dataplane/io/tun_vnet.hpp"
#include "dataplane/packet.hpp"

namespace ringway::io {

struct TunMergeOptions {
  bool tcp = true;
  bool udp = true;
};

// One packet to write.
struct TunWrite {
  VnetHeader vnet;
  std::uint16_t first = 0;         // slot that gives the header and the first payload
  std::uint16_t last = 0;          // slot that gives the last payload
  std::uint16_t segments = 1;      // packets merged here; 1: the slot as it is
  std::uint16_t header_bytes = 0;  // of every later slot, not written again
  std::uint32_t bytes = 0;         // without vnet
  bool writable = true;            // false: a train that no header can describe; to be dropped
};

class TunMerger {
 public:
  static constexpr std::size_t kMaxSlots = 256;    // of one plan
  static constexpr std::size_t kMaxSegments = 64;  // of one super-packet; also its pieces

  explicit TunMerger(TunMergeOptions options) : options_(options) {}

  // Plans the writes for at most kMaxSlots slots, and changes the header of each slot that begins a
  // super-packet. The result is valid until the next plan.
  [[nodiscard]] std::span<const TunWrite> plan(std::span<Slot> slots);
  // The bytes of one write of the last plan, in at most kMaxSegments pieces. Returns how many.
  [[nodiscard]] std::size_t gather(const TunWrite& write, std::span<const Slot> slots,
                                   std::span<iovec> pieces) const;

 private:
  // Flows that may be open at once; a burst rarely holds more that gain.
  static constexpr std::size_t kMaxOpen = 8;
  static constexpr std::uint32_t kMaxPacketBytes = 65535;

  struct FlowKey {
    std::array<std::uint64_t, 4> addresses{};
    std::uint32_t ports = 0;
    std::uint8_t protocol = 0;
    std::uint8_t version = 0;
    bool operator==(const FlowKey&) const = default;
  };
  struct Packet {
    FlowKey flow;
    std::uint16_t transport_at = 0;
    std::uint16_t header_bytes = 0;
    std::uint32_t payload_bytes = 0;
    bool mergeable = false;   // by itself; whether it fits another is may_append's question
    bool ends_train = false;  // TCP PSH or FIN: nothing may follow it in a super-packet
  };
  enum class Kind {
    kFlow,    // TCP or UDP, its flow known
    kOther,   // of no such flow, for certain
    kOpaque,  // may belong to any flow
  };
  // A super-packet that still grows.
  struct Open {
    Packet head;
    std::uint16_t write = 0;
    std::uint16_t next_identification = 0;
    std::uint32_t next_sequence = 0;
    bool head_verified = false;
    bool in_use = false;
  };

  [[nodiscard]] static Kind parse(const Slot& slot, Packet& packet);
  [[nodiscard]] static Kind parse_v4(const Slot& slot, Packet& packet);
  [[nodiscard]] static Kind parse_v6(const Slot& slot, Packet& packet);
  [[nodiscard]] static Kind parse_transport(const Slot& slot, Packet& packet);
  static void parse_tcp(const Slot& slot, Packet& packet);
  static void parse_udp(const Slot& slot, Packet& packet);
  [[nodiscard]] static bool checksums_right(const Slot& slot, const Packet& packet);

  void add(std::uint16_t index, std::span<Slot> slots);
  std::uint16_t begin_write(std::uint16_t index, const Slot& slot);
  [[nodiscard]] bool wanted(const Packet& packet) const;
  [[nodiscard]] Open* find_open(const FlowKey& flow);
  void open(std::uint16_t write, const Slot& slot, const Packet& packet, std::span<Slot> slots);
  [[nodiscard]] bool may_append(const Open& open, const Slot& head, const Slot& slot,
                                const Packet& packet) const;
  [[nodiscard]] bool try_append(Open& open, std::uint16_t index, std::span<Slot> slots,
                                const Packet& packet);
  // Nothing more is merged there: the head's header becomes the super-packet's.
  void close(Open& open, std::span<Slot> slots);
  void close_all(std::span<Slot> slots);

  TunMergeOptions options_;
  std::size_t write_count_ = 0;
  std::size_t next_victim_ = 0;
  std::array<TunWrite, kMaxSlots> writes_{};
  std::array<std::uint16_t, kMaxSlots> next_slot_{};  // the one that follows in the same write
  std::array<Open, kMaxOpen> open_{};
};

}  // namespace ringway::io
