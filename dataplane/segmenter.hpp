// Cuts what a TUN hands over into packets for the wire: a TCP or UDP super-packet (a train of kind
// kTcp or kUdp) into its segments, each with complete headers and checksums; a single packet whose
// transport checksum the kernel left to the device (ChecksumState::kPartial) into the finished
// packet. Stands between TunPort and encryption: a segment is written where it will be sealed, and
// its checksum is summed in the pass that copies it.
//
// What a super-packet contains comes from any process that may write to the TUN's network: nothing
// in it is believed before start() has checked it, and nothing outside the slot is read.
//
// Which fields change from segment to segment is what every NIC with TSO does: IPv4 total length
// and identification, IPv6 payload length, TCP sequence number, FIN and PSH on the last only, CWR
// on the first only (RFC 3168 section 6.1.2), UDP length, and the checksums.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/net/address.hpp"
#include "dataplane/packet.hpp"

namespace ringway {

// IP header with options or extension headers, and transport header.
inline constexpr std::uint32_t kMaxTrainHeaderBytes = 256;
// 64 KiB in segments of 48 bytes, the smallest that Linux sends by default (tcp_min_snd_mss).
inline constexpr std::uint32_t kMaxTrainSegments = 65536 / 48 + 1;

class Segmenter {
 public:
  // Takes a slot of kind kNone, kTcp or kUdp and computes once what its segments share. The slot's
  // bytes must stay until the last emit(). False for anything else, or when headers and lengths
  // contradict each other; then no other member may be called.
  [[nodiscard]] bool start(const Slot& slot);

  // Equal to segment_count(slot).
  [[nodiscard]] std::uint32_t count() const { return count_; }
  // Bytes of packet `index`, IP header included. At most 65,535 for a train.
  [[nodiscard]] std::uint32_t packet_bytes(std::uint32_t index) const {
    return header_bytes_ + body_bytes(index);
  }
  // Writes packet_bytes(index) bytes to dst, which must not overlap the slot, and returns how many.
  // Any order, any number of times.
  std::uint32_t emit(std::uint32_t index, std::uint8_t* dst) const;

 private:
  [[nodiscard]] bool start_single(const Slot& slot);
  [[nodiscard]] bool start_train(const Slot& slot);
  [[nodiscard]] bool find_transport();
  [[nodiscard]] bool check_transport(const Slot& slot) const;
  void prepare_template();
  std::uint32_t emit_single(std::uint8_t* dst) const;
  void finish_ip(std::uint32_t index, std::uint32_t bytes, std::uint8_t* ip) const;
  [[nodiscard]] std::uint64_t finish_tcp(std::uint32_t index, std::uint8_t* tcp) const;
  [[nodiscard]] std::uint32_t body_bytes(std::uint32_t index) const {
    const std::uint32_t rest = body_bytes_ - index * segment_bytes_;
    return rest < segment_bytes_ ? rest : segment_bytes_;
  }

  const std::uint8_t* data_ = nullptr;
  TrainKind kind_ = TrainKind::kNone;
  net::Family family_ = net::Family::kIpv4;
  bool complete_checksum_ = false;    // kNone: the checksum is partial
  std::uint8_t first_flags_ = 0;      // TCP, of the super-packet
  std::uint16_t checksum_at_ = 0;     // of the transport checksum field, from the packet's start
  std::uint16_t identification_ = 0;  // IPv4, of the first segment
  std::uint32_t sequence_ = 0;        // TCP, likewise
  std::uint32_t header_bytes_ = 0;    // copied to every segment; 0 for kNone
  std::uint32_t transport_at_ = 0;   // trains: of the transport header; kNone: where its sum begins
  std::uint32_t body_bytes_ = 0;     // what is cut
  std::uint32_t segment_bytes_ = 0;  // into pieces of this
  std::uint32_t count_ = 0;
  std::uint64_t ip_sum_ = 0;         // IPv4 header, changing fields zero
  std::uint64_t transport_sum_ = 0;  // pseudo-header and transport header, likewise
  std::array<std::uint8_t, kMaxTrainHeaderBytes> template_{};  // headers, changing fields zero
};

// Whether Segmenter::start would take the slot.
[[nodiscard]] bool segmentable(const Slot& slot);

}  // namespace ringway
