#include "overlay/dht/replica.hpp"

#include <algorithm>
#include <optional>

#include "base/check.hpp"
#include "overlay/dht/admission.hpp"

namespace ringway::overlay::dht {
namespace {

constexpr std::size_t kMaxSources = 64;

constexpr std::size_t kStoreReplyHead = 1 + 1 + 8;
constexpr std::size_t kGetReplyHead = 1 + 1;

// As much of a record as fits: the credential is left out before the value is.
Record that_fits(Record record, std::size_t room) {
  if (encoded_bytes(record) > room) record.credential = {};
  return encoded_bytes(record) <= room ? record : Record{};
}

}  // namespace

StoreReply Replica::store(const NodeId& source, ConstBytes credential, const Record& asked,
                          std::size_t room) {
  StoreReply reply;
  const auto value = parse_value(asked.value);
  if (!value) {
    core_.drops.add(Drop::kMalformed);
    reply.outcome = Outcome::kRefused;
    return reply;
  }
  const Key key =
      key_of(core_.verifier, core_.identity.group, value->kind, value->owner, value->name);
  reply.nodes = neighbourhood_.replicas(key);
  // Who held the key here before still does.
  const Store::Entry* const before = store_.find(key, value->owner);
  reply.settled = neighbourhood_.settled(key) || (before != nullptr && !before->removed);
  if (source != core_.self() && !within_limits(source)) {
    core_.drops.add(Drop::kStoreTooFast);
    reply.outcome = Outcome::kTooFast;
    return reply;
  }
  ConstBytes owners = asked.credential;
  if (owners.empty())
    owners = value->owner == source ? credential : store_.credential_of(value->owner);
  if (owners.empty()) {
    reply.outcome = Outcome::kNeedsCredential;
    return reply;
  }
  // It may point into the store, which is about to change.
  const std::vector<std::uint8_t> kept(owners.begin(), owners.end());
  const Accepted accepted = accept({asked.value, kept}, By::kClient);
  reply.outcome = accepted.outcome;
  if (const Store::Entry* const own = store_.find(key, value->owner))
    reply.sequence = own->sequence;
  if (accepted.outcome == Outcome::kHeld) {
    const Store::Entry* const holder = store_.holder(key, value->owner, core_.clock.wall);
    const std::size_t used = kStoreReplyHead + encoded_bytes(reply.nodes);
    if (holder != nullptr) reply.holder = that_fits(holder->record(), room - used);
  }
  if (accepted.news) hand_over_.on_store();
  return reply;
}

Replica::Accepted Replica::accept(const Record& record, By by) {
  Accepted accepted;
  const auto refuse = [&](Outcome outcome, Drop reason) {
    core_.drops.add(reason);
    accepted.outcome = outcome;
    return accepted;
  };
  const auto value = parse_value(record.value);
  if (!value) return refuse(Outcome::kRefused, Drop::kMalformed);
  const Key key =
      key_of(core_.verifier, core_.identity.group, value->kind, value->owner, value->name);
  const bool ours = by == By::kClient ? neighbourhood_.is_replica(core_.self(), key)
                                      : neighbourhood_.is_holder(core_.self(), key);
  if (!ours) return refuse(Outcome::kElsewhere, Drop::kNotReplica);
  const Store::Entry* const older = store_.find(key, value->owner);
  if (older != nullptr && older->id == value->id()) return accepted;
  if (older != nullptr && older->sequence >= value->sequence)
    return refuse(Outcome::kStale, Drop::kValueStale);
  if (const auto reason = authentic_refusal(core_, *value, record.credential))
    return refuse(Outcome::kRefused, *reason);

  const bool exclusive = is_exclusive(value->kind) && !value->removed;
  const Store::Entry* const holder =
      exclusive ? store_.holder(key, value->owner, core_.clock.wall) : nullptr;
  std::optional<NodeId> loser;
  if (holder != nullptr) {
    if (settle_contest(*holder, *value, record.credential, by) == Contest::kLost)
      return refuse(Outcome::kHeld, Drop::kValueHeld);
    loser = holder->owner;
  }
  // A new holder may still find that it has no majority, and take its value back.
  const bool confirmed = !exclusive || by == By::kHandOver || (older != nullptr && !older->removed);
  const Instant offered_from =
      confirmed ? Instant::distant_past() : core_.now() + parameters_.unconfirmed;
  if (!store_.put(key, *value, record, core_.clock.wall, offered_from))
    return refuse(Outcome::kFull, Drop::kStoreFull);
  if (loser) {
    store_.remove(key, *loser);
    subscribers_.tell(*loser, key, value->owner);
  }
  accepted.news = true;
  subscribers_.on_change(key, value->owner);
  schedule_review();
  return accepted;
}

Replica::Contest Replica::settle_contest(const Store::Entry& holder, const Value& value,
                                         ConstBytes credential, By by) {
  const auto held = parse_value(holder.value());
  CHECK(held);
  const Claim claim{value, credential};
  const Claim other{*held, holder.credential()};
  // A client cannot move a live binding, unless the issuer gave the address to it. Neighbours that
  // bring another one come from a part of the ring that was away.
  const bool wins = by == By::kHandOver ? prevails(core_, claim, other)
                                        : is_fixed(core_, claim) && !is_fixed(core_, other);
  if (!wins && by == By::kHandOver) subscribers_.tell(value.owner, holder.key, holder.owner);
  return wins ? Contest::kWon : Contest::kLost;
}

void Replica::schedule_review() {
  if (review_due_ == Instant::never()) review_due_ = core_.now() + parameters_.review_interval;
  core_.wake_at(review_due_);
}

GetReply Replica::get(const GetRequest& request, std::size_t room) {
  GetReply reply;
  reply.settled = neighbourhood_.settled(request.key);
  if (!request.no_nodes) reply.nodes = neighbourhood_.replicas(request.key);
  std::size_t left = room - kGetReplyHead - encoded_bytes(reply.nodes);
  for (const Store::Entry& entry : store_.at(request.key)) {
    if (entry.owner <= request.after || entry.not_after <= core_.clock.wall) continue;
    const Record record = that_fits(entry.record(), left);
    reply.more = record.value.empty() || !reply.records.add(record);
    if (reply.more) break;
    left -= encoded_bytes(record);
  }
  return reply;
}

SubscribeReply Replica::subscribe(const NodeId& source, const SubscribeRequest& request) {
  SubscribeReply reply;
  reply.nodes = neighbourhood_.replicas(request.key);
  if (!neighbourhood_.is_replica(core_.self(), request.key)) {
    core_.drops.add(Drop::kNotReplica);
    reply.outcome = Outcome::kElsewhere;
  } else {
    reply.outcome = subscribers_.subscribe(source, request);
    schedule_review();
  }
  return reply;
}

void Replica::on_link_message(const Link& link, wire::LinkMessageType type, ConstBytes body) {
  const auto malformed = [&] { core_.drops.add(Drop::kMalformed); };
  if (!link.near()) {
    core_.drops.add(Drop::kUnexpected);
  } else if (type == kHandOverMessage) {
    const auto record = parse_record(body);
    if (!record) return malformed();
    if (accept(*record, By::kHandOver).news) hand_over_.on_news();
  } else if (type == kOfferMessage) {
    const auto offer = parse_offer(body);
    if (!offer) return malformed();
    hand_over_.on_offer(link, *offer);
  } else {
    const auto versions = parse_versions(body);
    if (!versions) return malformed();
    hand_over_.on_want(link, *versions);
  }
}

bool Replica::within_limits(const NodeId& source) {
  const Duration since = core_.now() - refilled_at_;
  const std::int64_t earned = std::min<std::int64_t>(
      since.count_ms() * parameters_.stores_a_second / 1000, parameters_.store_burst);
  if (earned > 0) {
    stores_left_ =
        std::min(stores_left_ + static_cast<std::uint32_t>(earned), parameters_.store_burst);
    refilled_at_ = core_.now();
  }
  std::erase_if(sources_, [&](const Source& each) { return each.window_ends <= core_.now(); });
  auto found = std::find_if(sources_.begin(), sources_.end(),
                            [&](const Source& each) { return each.node == source; });
  if (found == sources_.end()) {
    if (sources_.size() >= kMaxSources) return false;
    sources_.push_back({source, core_.now() + parameters_.source_window});
    found = sources_.end() - 1;
  }
  if (stores_left_ == 0 || found->stores >= parameters_.stores_a_source) return false;
  ++found->stores;
  --stores_left_;
  return true;
}

void Replica::tick() {
  neighbourhood_.tick();
  hand_over_.tick();
  subscribers_.tick();
  if (core_.now() >= review_due_) review();
  core_.wake_at(review_due_);
}

bool Replica::begin_turn(bool neighbours_changed) {
  if (!neighbours_changed || !neighbourhood_.update()) return false;
  hand_over_.on_neighbourhood_change();
  return true;
}

void Replica::review() {
  subscribers_.expire();
  store_.expire(core_.clock.wall);
  for (std::size_t i = store_.size(); i-- > 0;) {
    Store::Entry& entry = store_.entry(i);
    if (neighbourhood_.is_holder(core_.self(), entry.key)) {
      entry.outside_since = Instant::never();
    } else if (entry.outside_since == Instant::never()) {
      entry.outside_since = core_.now();
    } else if (core_.now() - entry.outside_since > parameters_.outside_kept) {
      store_.erase(i);
    }
  }
  review_due_ = store_.empty() && subscribers_.size() == 0
                    ? Instant::never()
                    : core_.now() + parameters_.review_interval;
}

}  // namespace ringway::overlay::dht
