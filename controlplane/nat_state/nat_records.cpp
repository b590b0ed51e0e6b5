#include "controlplane/nat_state/nat_records.hpp"

#include <utility>
#include <vector>

namespace ringway::control {

Result<NatRecords> NatRecords::open(const std::string& log_path) {
  NatRecords records;
  if (log_path.empty()) return records;
  auto log = NatLog::open(log_path);
  if (!log) return tl::unexpected(log.error());
  records.log_ = std::move(*log);
  records.write_mark(NatLogKind::kStarted, WallTime::now());
  return records;
}

void NatRecords::write_mark(NatLogKind kind, WallTime wall) {
  NatLogLine line;
  line.at = wall;
  line.kind = kind;
  log_->write({line});
}

void NatRecords::note_subscriber(PeerId id, const std::string& name, const tunnel::PublicKey& key) {
  subscribers_[id] = {name, key};
}

void NatRecords::take_blocks(const BlockEventBatch& batch, Instant now, WallTime wall) {
  const std::uint64_t lost = batch.lost - std::exchange(lost_in_nat_, batch.lost);
  if (!log_) return;
  std::vector<NatLogLine> lines;
  lines.reserve(batch.count + 1);
  NatLogLine line;
  line.at = WallTime::from_unix_ns(wall.unix_ns() - (now - batch.at).count_ns());
  for (std::size_t i = 0; i < batch.count; ++i) {
    const nat::BlockEvent& event = batch.events[i];
    const Subscriber& subscriber = subscribers_.at(event.subscriber);
    line.kind = event.allocated ? NatLogKind::kGiven : NatLogKind::kReturned;
    line.protocol = event.protocol;
    line.address = event.external_address;
    line.first_port = event.first_port;
    line.last_port = static_cast<std::uint16_t>(event.first_port + event.ports - 1);
    line.subscriber = subscriber.name;
    line.key = subscriber.key;
    lines.push_back(line);
  }
  if (lost != 0) {
    NatLogLine loss;
    loss.at = line.at;
    loss.kind = NatLogKind::kLost;
    loss.lost = lost;
    lines.push_back(loss);
  }
  log_->write(lines);
}

void NatRecords::add_mappings(const MappingPage& page, const MappingQuery& query,
                              MappingList& list) const {
  for (std::size_t i = 0; i < page.count; ++i) {
    const nat::MappingRecord& record = page.records[i];
    if (query.external && record.external != *query.external) continue;
    const auto subscriber = subscribers_.find(record.subscriber);
    if (subscriber == subscribers_.end()) continue;
    MappingStatus mapping{subscriber->second.name, protocol_text(record.protocol), record.inner,
                          record.external,         record.idle.count_s(),          std::nullopt};
    if (record.expires_in != Duration{}) mapping.expires_s = record.expires_in.count_s();
    if (query.subscriber && mapping.subscriber != *query.subscriber) continue;
    if (query.protocol && mapping.protocol != *query.protocol) continue;
    list.mappings.push_back(std::move(mapping));
  }
  list.next = page.cursor;
}

Result<void> NatRecords::reopen_log() {
  return log_ ? log_->reopen() : Result<void>();
}

void NatRecords::close_log(WallTime wall) {
  if (log_) write_mark(NatLogKind::kStopped, wall);
  log_.reset();
}

Result<void> check_query(const MappingQuery& query) {
  if (!query.protocol) return {};
  const auto protocol = parse_protocol(*query.protocol);
  if (!protocol) return tl::unexpected(protocol.error());
  return {};
}

}  // namespace ringway::control
