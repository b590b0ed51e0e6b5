// What the control thread knows of the worker's NAT: whose a PeerId is, the log of port blocks, and
// the answers to who asks for mappings.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/nat_state/nat_log.hpp"
#include "dataplane/control_api.hpp"

namespace ringway::control {

class NatRecords {
 public:
  // log_path: empty for none.
  [[nodiscard]] static Result<NatRecords> open(const std::string& log_path);

  // Before the worker knows the subscriber. What is left of a removed one with this id has been
  // told by then (dataplane/nat_reports.hpp).
  void note_subscriber(PeerId id, const std::string& name, const tunnel::PublicKey& key);

  void take_blocks(WorkerId from, const BlockEventBatch& batch, Instant now, WallTime wall);
  // Those that the query asks for.
  void add_mappings(const MappingPage& page, const MappingQuery& query, MappingList& list) const;

  // After a rotation: the new file begins with the blocks that are held, so that it answers without
  // the older ones.
  [[nodiscard]] Result<void> reopen_log(WallTime wall = WallTime::now());
  // The last line of an orderly end.
  void close_log(WallTime wall);
  // Block events that are missing in the log, for whatever reason but a crash.
  [[nodiscard]] std::uint64_t lost() const { return lost_in_nats() + (log_ ? log_->lost() : 0); }

 private:
  struct Subscriber {
    std::string name;
    tunnel::PublicKey key{};
  };

  using BlockKey = std::tuple<net::IpAddress, std::uint8_t, std::uint16_t>;

  NatRecords() = default;
  [[nodiscard]] std::uint64_t lost_in_nats() const;
  void write_mark(NatLogKind kind, WallTime wall);
  void note_held(const NatLogLine& line);

  std::map<PeerId, Subscriber> subscribers_;  // the last one that had the id
  std::map<BlockKey, NatLogLine> held_;       // as they were given; with a log only
  std::optional<NatLog> log_;
  std::array<std::uint64_t, kMaxWorkers> lost_in_nat_{};  // each worker's, since it began
};

// The question as typed or sent: names that are none are errors.
[[nodiscard]] Result<void> check_query(const MappingQuery& query);

}  // namespace ringway::control
