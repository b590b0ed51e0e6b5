#include "controlplane/nat_state/nat_records.hpp"

#include <numeric>
#include <utility>
#include <vector>

namespace ringway::control {
namespace {

NatLogLine loss_line(WallTime at, std::uint64_t events) {
  NatLogLine line;
  line.at = at;
  line.kind = NatLogKind::kLost;
  line.lost = events;
  return line;
}

}  // namespace

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

std::uint64_t NatRecords::lost_in_nats() const {
  return std::accumulate(lost_in_nat_.begin(), lost_in_nat_.end(), std::uint64_t{0});
}

void NatRecords::take_blocks(WorkerId from, const BlockEventBatch& batch, Instant now,
                             WallTime wall) {
  const std::uint64_t lost = batch.lost - std::exchange(lost_in_nat_[from.value], batch.lost);
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
    note_held(line);
  }
  if (lost != 0) lines.push_back(loss_line(line.at, lost));
  log_->write(lines);
}

// By address, protocol and first port: the block that a line is about.
void NatRecords::note_held(const NatLogLine& line) {
  const BlockKey key{line.address, line.protocol, line.first_port};
  if (line.kind == NatLogKind::kGiven) {
    held_[key] = line;
  } else {
    held_.erase(key);
  }
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

Result<void> NatRecords::reopen_log(WallTime wall) {
  if (!log_) return {};
  const auto is_other = log_->reopen();
  if (!is_other) return tl::unexpected(is_other.error());
  if (!*is_other) return {};
  std::vector<NatLogLine> lines(1);
  lines.front().at = wall;
  lines.front().kind = NatLogKind::kRotated;
  for (const auto& [key, given] : held_) {
    NatLogLine& line = lines.emplace_back(given);
    line.kind = NatLogKind::kHeld;
    line.since = given.at;
    line.at = wall;
  }
  const std::uint64_t lost = lost_in_nats();
  if (lost != 0) lines.push_back(loss_line(wall, lost));  // the list may lack some
  log_->write(lines);
  return {};
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
