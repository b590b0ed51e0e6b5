#include "controlplane/nat_state/state_keeper.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "controlplane/logging.hpp"

namespace ringway::control {
namespace {

constexpr Duration kRoundInterval = Duration::seconds(1);
// A round that is much work, because there are many mappings, is followed by a pause this many
// times as long: no more than a fiftieth of the time goes into it.
constexpr std::int64_t kPauseFactor = 49;
// Where nothing has changed and there is nothing to expire, the file is only kept fresh.
constexpr Duration kFreshInterval = Duration::seconds(60);

std::string path_in(const std::string& directory) {
  return directory + "/gateway-state";
}

// Text like 01234567-89ab-cdef-0123-456789abcdef; zeros where there is none.
BootId read_boot_id() {
  BootId id{};
  const auto content = read_file("/proc/sys/kernel/random/boot_id", 64);
  if (!content) return id;
  std::string digits;
  for (const std::uint8_t byte : *content) {
    if (byte != '-') digits += static_cast<char>(byte);
  }
  for (std::size_t i = 0; i < id.size() && 2 * i + 2 <= digits.size(); ++i)
    std::from_chars(&digits[2 * i], &digits[2 * i] + 2, id[i], 16);
  return id;
}

}  // namespace

KeptMoment kept_moment_now() {
  static const BootId boot_id = read_boot_id();
  return {WallTime::now(), Instant::now(), boot_id};
}

std::optional<KeptState> load_kept_state(const std::string& directory) {
  const auto content = read_file(path_in(directory), kMaxKeptBytes);
  if (!content) {
    log_warn("mappings and endpoints of the last run are lost: " + content.error().text());
    return std::nullopt;
  }
  if (content->empty()) return std::nullopt;
  auto state = parse_kept_state(*content);
  if (!state) {
    log_warn("mappings and endpoints of the last run are lost: " + path_in(directory) + ": " +
             state.error().text());
    return std::nullopt;
  }
  return std::move(*state);
}

std::vector<nat::MappingRecord> mappings_after(
    const KeptState& state, Duration away, const std::vector<std::optional<KeptOwner>>& owners) {
  std::vector<nat::MappingRecord> records;
  for (const KeptMapping& mapping : state.mappings) {
    const auto& owner = owners[mapping.peer];
    const auto holds_inner = [&](const net::Prefix& prefix) {
      return prefix.contains(mapping.inner.address);
    };
    if (!owner || mapping.expires_in <= away ||
        std::ranges::none_of(owner->allowed_ips, holds_inner)) {
      continue;
    }
    records.push_back({mapping.protocol, owner->id, mapping.inner, mapping.external,
                       mapping.idle + away, mapping.expires_in - away});
  }
  return records;
}

StateKeeper::StateKeeper(const std::string& directory, bool own_nat, TunnelService& service,
                         std::function<std::vector<KnownPeer>()> peers)
    : path_(path_in(directory)), own_nat_(own_nat), service_(service), peers_(std::move(peers)) {}

void StateKeeper::tick(Instant now) {
  if (!file_ && now >= next_round_) begin(now);
}

void StateKeeper::peers_changed() {
  if (!file_) return;
  file_.reset();
  next_round_ = moment_.boot + kRoundInterval;
}

void StateKeeper::begin_last(Instant now) {
  file_.reset();
  begin(now);
}

std::vector<KeptPeer> StateKeeper::kept_peers() {
  std::vector<KeptPeer> kept;
  places_.clear();
  for (const KnownPeer& known : peers_()) {
    const TunnelPeerState* state = service_.peer_state(known.id);
    if (state == nullptr) continue;
    const bool had_session = state->latest_handshake != WallTime{} &&
                             moment_.wall < state->latest_handshake + tunnel::kRejectAfterTime;
    places_.emplace(known.id, static_cast<std::uint32_t>(kept.size()));
    kept.push_back({known.public_key, state->endpoint, had_session});
  }
  return kept;
}

void StateKeeper::begin(Instant now) {
  ++round_;
  next_round_ = Instant::never();  // finish() or fail() says when
  moment_ = kept_moment_now();
  moment_.boot = now;
  worked_ = {};
  step_began_ = Instant::now();
  mappings_ = 0;
  round_peers_ = kept_peers();
  file_.emplace(path_);
  auto begun = file_->open();
  if (begun) begun = file_->append(writer_.begin(moment_, round_peers_));
  if (!begun) return fail(begun.error());
  if (own_nat_) {
    ask(0);
  } else {
    finish(now);
  }
}

void StateKeeper::ask(std::uint32_t cursor) {
  service_.request_mappings(cursor, [this, round = round_](const MappingPage& page) {
    if (!file_ || round != round_) return;
    step_began_ = Instant::now();
    take(page);
  });
  worked_ = worked_ + (Instant::now() - step_began_);
}

// The records of a page are as old as the page; in the file all are as old as its header says.
void StateKeeper::take(const MappingPage& page) {
  const Duration since = page.at - moment_.boot;
  std::vector<KeptMapping> mappings;
  mappings.reserve(page.count);
  for (std::size_t i = 0; i < page.count; ++i) {
    const nat::MappingRecord& record = page.records[i];
    const auto place = places_.find(record.subscriber);
    const bool forever = record.expires_in == Duration{};  // a forward: configured, not kept
    if (place == places_.end() || forever) continue;
    mappings.push_back({place->second, record.protocol, record.inner, record.external,
                        std::max(record.idle - since, Duration{}), record.expires_in + since});
  }
  mappings_ += mappings.size();
  if (auto added = file_->append(writer_.add(mappings)); !added) return fail(added.error());
  if (page.cursor != 0) {
    ask(page.cursor);
  } else {
    finish(page.at);
  }
}

void StateKeeper::finish(Instant now) {
  const Instant end = Instant::now();
  worked_ = worked_ + (end - step_began_);
  next_round_ = end + std::max(kRoundInterval, worked_ * kPauseFactor);
  const bool as_before = mappings_ == 0 && !kept_mappings_ && round_peers_ == kept_;
  if (as_before && now - kept_at_ < kFreshInterval) {
    file_.reset();
    return;
  }
  auto done = file_->append(writer_.end());
  if (done) done = file_->commit();
  if (!done) return fail(done.error());
  file_.reset();
  kept_ = std::move(round_peers_);
  kept_at_ = now;
  kept_mappings_ = mappings_ != 0;
  failing_ = false;
}

void StateKeeper::fail(const Error& error) {
  file_.reset();
  next_round_ = moment_.boot + kFreshInterval;
  if (!failing_) log_warn("a restart would lose mappings and endpoints: " + error.text());
  failing_ = true;
}

}  // namespace ringway::control
