// What travels through the pipeline: slots. A slot is a descriptor of one datagram or one *train*
// in a buffer of a pool. A train is a run of equally long segments (the last may be shorter) that
// the kernel handed over, or takes, as one: a TCP or UDP super-packet of a TUN, a UDP_GRO run of a
// socket. A slot has exactly one owner; several slots may refer to parts of one buffer, which goes
// home when the last of them is released (see buffer_pool.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/ids.hpp"
#include "base/net/address.hpp"
#include "base/time.hpp"

namespace ringway {

// What is known of a packet's transport checksum.
enum class ChecksumState : std::uint8_t {
  kUnknown,   // as it came; nobody looked
  kVerified,  // complete and right
  kPartial,   // holds the pseudo-header's sum only: whoever segments or sends must complete it
};

// What kind of train, beyond equal length, a slot is.
enum class TrainKind : std::uint8_t {
  kNone,       // one datagram
  kDatagrams,  // back-to-back datagrams of segment_bytes each: a UDP socket's GRO run or GSO send
  kTcp,  // one TCP super-packet: one IP and TCP header, then payload to cut each segment_bytes
  kUdp,  // one UDP super-packet (USO): one IP and UDP header, then payload to cut likewise
};

class BufferPool;

struct Slot {
  std::uint8_t* data = nullptr;  // first byte
  std::uint32_t length = 0;      // bytes from data
  std::uint32_t headroom = 0;    // writable bytes before data
  std::uint32_t tailroom = 0;    // writable bytes after data + length
  std::uint16_t segment_bytes =
      0;  // trains: kDatagrams the datagram, kTcp/kUdp the payload of a segment
  std::uint16_t header_bytes = 0;     // kTcp/kUdp: IP and transport header, together
  std::uint16_t checksum_start = 0;   // kPartial: offset of the transport header from data
  std::uint16_t checksum_offset = 0;  // kPartial: offset of the checksum field from checksum_start
  TrainKind train = TrainKind::kNone;
  ChecksumState checksum = ChecksumState::kUnknown;
  std::uint8_t traffic_class = 0;  // outer: the IP header's TOS or traffic class byte (DSCP, ECN)
  bool truncated = false;          // rx: the datagram was longer than the buffer
  std::uint32_t buffer = 0;        // index in the home pool
  PeerId subscriber{};             // tx by Ethernet: for whom, or from whom; none: nobody's
  BufferPool* home = nullptr;
  net::Endpoint remote{};       // outer: rx where it came from, tx where it goes
  net::IpAddress local{};       // outer: rx the address it arrived at; tx the source to use
  std::uint32_t interface = 0;  // outer: interface index of `local`; 0 where local is not set
};
static_assert(std::is_trivially_copyable_v<Slot>);

// All of a slot but the three members that say where from or where to, half of it: for a copy that
// has no need of them, or gets others.
inline void copy_without_address(Slot& to, const Slot& from) {
  static_assert(offsetof(Slot, remote) == 48);
  std::memcpy(static_cast<void*>(&to), &from, offsetof(Slot, remote));
}

// Datagrams in a slot. Of an empty slot: 1, a datagram of no bytes.
[[nodiscard]] inline std::uint32_t segment_count(const Slot& slot) {
  if (slot.train == TrainKind::kNone || slot.segment_bytes == 0) return 1;
  const std::uint32_t body = slot.length - slot.header_bytes;
  const std::uint32_t count = (body + slot.segment_bytes - 1) / slot.segment_bytes;
  return count == 0 ? 1 : count;
}

}  // namespace ringway
