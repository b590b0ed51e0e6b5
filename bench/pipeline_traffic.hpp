// Traffic for ringway-bench pipeline, and the other end of the tunnel: packets that follow from
// their numbers alone, so that whoever has one can tell what it must be; the peers' keys and
// addresses; sealed input for the way in; the judgement of what came out.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "bench/bench_port.hpp"
#include "bench/gateway_flows.hpp"
#include "bench/packet_sizes.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/forwarding/forwarding_table.hpp"
#include "dataplane/tunnel/allowed_ips.hpp"
#include "dataplane/tunnel/crypto_batch.hpp"
#include "dataplane/tunnel/handshaker.hpp"

namespace ringway::bench {

enum class PipelinePath : std::uint8_t {
  kEdgeOut,       // plaintext in, sealed out
  kEdgeIn,        // sealed in, plaintext out
  kToInternet,    // frames: sealed in, translated out
  kFromInternet,  // frames: from outside in, translated back, sealed out
  kNatOnly,       // IP packets of subscribers in, translated out
  kNull,          // plaintext in and out, by the ports alone
};
// The worker between Ethernet frames.
[[nodiscard]] constexpr bool is_gateway(PipelinePath path) {
  return path == PipelinePath::kToInternet || path == PipelinePath::kFromInternet;
}
[[nodiscard]] constexpr bool translates(PipelinePath path) {
  return is_gateway(path) || path == PipelinePath::kNatOnly;
}
[[nodiscard]] constexpr bool seals(PipelinePath path) {
  return path == PipelinePath::kEdgeOut || path == PipelinePath::kFromInternet;
}
[[nodiscard]] constexpr bool opens(PipelinePath path) {
  return path == PipelinePath::kEdgeIn || path == PipelinePath::kToInternet;
}
[[nodiscard]] constexpr bool takes_trains(PipelinePath path) {
  return path == PipelinePath::kEdgeOut || path == PipelinePath::kEdgeIn;
}

// The sealed sides's limits are a Linux socket's: UDP_SEGMENT and UDP_GRO take 64 segments.
inline constexpr std::uint32_t kMaxDatagramTrainSegments = 64;
inline constexpr std::uint32_t kMaxDatagramTrainBytes = 65507;
inline constexpr std::uint32_t kInnerMtu = 1420;

struct TrafficShape {
  PipelinePath path;
  tunnel::Suite suite;
  PacketSizes sizes;             // of inner packets: IPv4, TCP, payload
  std::uint32_t train_segments;  // 1: single packets
  std::uint32_t peers;           // in turn, a train or single packet each
  std::uint32_t packets;         // a round
  std::uint32_t flows = 1;       // of a gateway: live mappings, in random order
  // Of several workers, which one's traffic this is: each has peers, flows and ports of its own.
  std::uint32_t worker = 0;
  std::uint32_t workers = 1;
  std::uint32_t misplaced_peers = 0;  // the first of them reach the next worker's port instead
  double new_flow_share = 0;          // of a gateway's packets, from 0 to 1: each opens a flow

  [[nodiscard]] std::uint32_t inner_mtu() const;
  // What is encrypted of a packet: itself and its padding.
  [[nodiscard]] std::uint32_t text_bytes(std::uint32_t packet_bytes) const;
  [[nodiscard]] std::uint32_t message_bytes(std::uint32_t packet_bytes) const;
  [[nodiscard]] std::uint32_t longest_message() const { return message_bytes(sizes.longest()); }
  // What the ports carry before the packet or message: on a gateway's paths Ethernet, and IP and
  // UDP where it is sealed.
  [[nodiscard]] std::uint32_t input_header_bytes() const;
  [[nodiscard]] std::uint32_t output_header_bytes() const;
  // How many packets a train of either side can have at most.
  [[nodiscard]] static std::uint32_t longest_train(std::uint32_t packet_bytes);
};

class PipelineTraffic {
 public:
  static constexpr std::uint32_t kMaxPeers = 100'000;

  explicit PipelineTraffic(const TrafficShape& shape);
  PipelineTraffic(const PipelineTraffic&) = delete;
  PipelineTraffic& operator=(const PipelineTraffic&) = delete;

  // A gateway's: where it is reached, and the way to everybody.
  [[nodiscard]] static forwarding::LinkOptions link_options();
  [[nodiscard]] static std::shared_ptr<const forwarding::ForwardingTable> forwarding_table();

  // Of all workers together.
  [[nodiscard]] PeerId id_of(std::uint32_t peer) const {
    return {shape_.worker * shape_.peers + peer};
  }
  // The worker's end of each peer's session.
  [[nodiscard]] tunnel::SessionKeys session_keys(std::uint32_t peer, Instant created) const;
  [[nodiscard]] const net::Endpoint& endpoint(std::uint32_t peer) const { return endpoints_[peer]; }
  [[nodiscard]] std::vector<tunnel::AllowedIp> allowed_ips() const;
  // Where the path translates: the worker's NAT.
  [[nodiscard]] nat::Config nat_config() const;

  // Before the first round of a gateway's path: opens a TCP connection on every flow and notes what
  // it looks like outside.
  [[nodiscard]] Result<void> open_flows(nat::Nat& nat, Instant now);
  // Between two rounds: ends what the last one opened. Returns when the next one is.
  [[nodiscard]] Result<Instant> close_new_flows(nat::Nat& nat, Instant now);

  // One round of input, sealed with fresh counters on the way in, for `port` to hand over. The
  // last round's must have been released.
  void offer_round(BenchPort& port);
  // Of two rounds on offer, the packets of misplaced peers change places.
  void exchange_misplaced(PipelineTraffic& other);
  // Whose the packets of the round are, in order, where the path translates.
  [[nodiscard]] std::span<const PeerId> subscribers() const { return subscribers_; }
  // What came of it: every packet, and the samples byte by byte.
  [[nodiscard]] Result<void> check_round(const BenchPort::Sent& sent);

 private:
  [[nodiscard]] std::uint32_t peer_of(std::uint64_t number) const;
  [[nodiscard]] bool is_misplaced(std::uint64_t number) const {
    return peer_of(number) < shape_.misplaced_peers;
  }
  void write_packet(std::uint64_t number, std::uint8_t* to) const;
  // As a gateway's subscriber has it, or as the Internet has it.
  enum class Side : std::uint8_t { kInside, kOutside };
  void write_flow_packet(std::uint64_t number, Side side, std::uint8_t ttl, std::uint8_t* to) const;
  // As write_packet() put it there. `packet`: at least its headers, perhaps padding.
  [[nodiscard]] static std::uint64_t number_of(ConstBytes packet);
  [[nodiscard]] Result<void> learn(std::uint32_t flow, const std::uint8_t* packet);
  // Before `payload`, what input_header_bytes() says.
  void write_frame_headers(std::uint64_t number, Bytes payload) const;
  // Checks and removes what output_header_bytes() says.
  [[nodiscard]] Result<void> strip_frame_headers(std::vector<std::uint8_t>& frame) const;
  // The packet that must come out for the one of that number, with its TTL one lower.
  void write_expected(std::uint64_t number, std::uint8_t* to) const;
  void write_super_packet(std::uint64_t first, std::uint32_t count, std::uint8_t* to) const;
  // Equally long ones. Returns how long the run of messages is; the jobs seal it.
  std::uint32_t write_messages(std::uint64_t first, std::uint32_t count, std::uint8_t* to);
  [[nodiscard]] Result<std::vector<std::uint8_t>> open(ConstBytes message);

  struct FarEnd {
    std::unique_ptr<tunnel::BulkKey> key;  // of the direction that is measured
    std::uint64_t next_counter = 0;        // to seal with, or to expect at the earliest
  };

  // The next number of each of two streams: what arrived at the worker's own port, and what was
  // handed over.
  using Earliest = std::array<std::uint64_t, 2>;
  [[nodiscard]] Result<void> check_sample(std::vector<std::uint8_t> text, Earliest& earliest);

  TrafficShape shape_;
  std::unique_ptr<GatewayFlows> flows_;
  std::uint64_t first_number_ = 0;  // of the round: a gateway's flows differ from round to round
  std::uint64_t output_bytes_ = 0;  // that must come out of the round
  BufferPool pool_;
  SeededRng rng_;
  std::vector<SecretBytes<tunnel::kKeyBytes>> keys_;
  std::vector<FarEnd> far_ends_;
  std::vector<net::Endpoint> endpoints_;
  tunnel::CryptoBatch sealer_;
  tunnel::CryptoBatch judge_{tunnel::CryptoBatch::Selection::kOpenSslOnly};  // not what is judged
  std::vector<tunnel::AeadJob> jobs_;
  std::vector<Parcel> parcels_;
  std::vector<PeerId> subscribers_;  // beside them
};

}  // namespace ringway::bench
