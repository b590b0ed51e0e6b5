#include "overlay/dht/client.hpp"

#include <algorithm>
#include <utility>

#include "overlay/dht/admission.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

constexpr std::size_t kMaxNamed = 2 * kMaxReplicas;
constexpr std::size_t kMaxNotices = 16;
constexpr std::int64_t kNsPerMs = 1'000'000;

[[nodiscard]] bool is_write(Task task) {
  return task == Task::kPut || task == Task::kCreate || task == Task::kRemove;
}

// What is asked of the two nodes on either side of the key. A subscription goes to some of the
// replicas only: first, these say who the replicas are and what is there now.
[[nodiscard]] wire::Method first_method(Task task) {
  return is_write(task) ? kStoreMethod : kGetMethod;
}

std::uint64_t sequence_at(WallTime wall) {
  return static_cast<std::uint64_t>(wall.unix_ns() / kNsPerMs);
}

// Of a version that can be somewhere: its owner's clock was no further ahead, or replicas would
// have refused it for its time.
std::uint64_t latest_sequence(WallTime wall) {
  return sequence_at(wall + kLongestTtl + kClockSkew);
}

template <typename Content>
std::vector<std::uint8_t> encoded(const Content& content) {
  wire::ByteWriter writer;
  emit(writer, content);
  return {writer.view().begin(), writer.view().end()};
}

}  // namespace

// --- An operation begins -------------------------------------------------------------------------

std::uint64_t Client::begin(Order order) {
  if (operations_.size() >= parameters_.max_operations) {
    core_.drops.add(Drop::kOperationsFull);
    return 0;
  }
  auto operation = std::make_unique<Operation>();
  operation->id = next_id_++;
  if (is_write(order.task)) order.owner = core_.self();
  operation->key =
      key_of(core_.verifier, core_.identity.group, order.kind, order.owner, order.name);
  operation->order = std::move(order);
  if (is_write(operation->order.task)) give_up_earlier(operation->key);
  operations_.push_back(std::move(operation));
  core_.wake_at(core_.now());
  return operations_.back()->id;
}

// What this node put or removed there and still tries would otherwise be signed anew, for a later
// sequence, after that which the driver wants now. A create withdraws by itself.
void Client::give_up_earlier(const Key& key) {
  for (std::size_t i = operations_.size(); i > 0; --i) {
    Operation& operation = *operations_[i - 1];
    const Task task = operation.order.task;
    if (operation.key == key && (task == Task::kPut || task == Task::kRemove))
      finish(operation, Result::kNoMajority, false);
  }
}

void Client::sign(Operation& operation) {
  const std::uint64_t by_clock = sequence_at(core_.clock.wall);
  const std::uint64_t later = memory_.last(operation.key, core_.self()) + 1;
  const Order& order = operation.order;
  Value value;
  value.kind = order.kind;
  value.removed = order.task == Task::kRemove;
  value.owner = core_.self();
  value.sequence = std::max({by_clock, later, operation.stale_sequence + 1});
  // A tombstone outlives whatever it removes: else somebody brings that back when it is gone.
  value.not_after = core_.clock.wall + (value.removed ? kLongestTtl : order.ttl);
  value.name = order.name;
  if (!value.removed) value.payload = order.payload;
  operation.sequence = value.sequence;
  operation.value = sign_value(value, core_.identity.group, core_.signer);
}

void Client::start_round(Operation& operation) {
  operation.state = State::kAsking;
  operation.named.clear();
  operation.asked.clear();
  operation.reading.clear();
  operation.refused = operation.subscribing = false;
  const bool outdated = operation.stale_sequence >= operation.sequence;
  if (is_write(operation.order.task) && (operation.value.empty() || outdated)) sign(operation);
  find(operation, wire::Direction::kSuccessor);
  find(operation, wire::Direction::kPredecessor);
}

std::vector<std::uint8_t> Client::body_of(const Operation& operation) const {
  if (is_write(operation.order.task)) return encoded(Record{operation.value, {}});
  if (!operation.subscribing) return encoded(GetRequest{operation.key, false, {}});
  const auto seconds = parameters_.subscription.count_ms() / 1000;
  return encoded(SubscribeRequest{operation.key, static_cast<std::uint16_t>(seconds)});
}

std::uint64_t Client::send(const NodeId& node, wire::Route route, wire::Method method,
                           ConstBytes body, int tries) {
  Query query;
  query.purpose = Purpose::kDht;
  query.method = method;
  query.destination = node;
  query.route = route;
  query.tries = tries;
  query.body.assign(body.begin(), body.end());
  return rpc_.ask(query);
}

std::uint64_t Client::send_exact(const NodeId& node, wire::Method method, ConstBytes body,
                                 int tries) {
  return send(node, {wire::Direction::kNearest, true, true}, method, body, tries);
}

void Client::find(Operation& operation, wire::Direction direction) {
  Asked asked;
  asked.found_by_ring = direction;
  asked.request = send(operation.key, {direction, false, false}, first_method(operation.order.task),
                       body_of(operation), parameters_.request_tries);
  operation.asked.push_back(std::move(asked));
}

void Client::ask_replicas(Operation& operation) {
  const bool subscribes = operation.order.task == Task::kSubscribe;
  const auto finding = [&](wire::Direction direction) {
    return std::any_of(operation.asked.begin(), operation.asked.end(), [&](const Asked& asked) {
      return asked.found_by_ring == direction && asked.request != 0;
    });
  };
  const bool finding_after = finding(wire::Direction::kSuccessor);
  const bool finding_before = finding(wire::Direction::kPredecessor);
  Nodes replicas = nearest_to(operation.key, operation.named);
  if (replicas.empty()) return;
  if (subscribes) {
    if (finding_after || finding_before || operation.subscribing) return;
    operation.subscribing = true;
    while (replicas.size() > parameters_.subscribed_replicas)
      replicas.remove_at(core_.rng.below(replicas.size()));
    for (const NodeId& node : replicas)
      ask(operation, node);
    return;
  }
  // The nearest one of a side is being found by the ring.
  const auto nearest = [&](auto way) {
    return *std::min_element(replicas.begin(), replicas.end(),
                             [&](const auto& a, const auto& b) { return way(a) < way(b); });
  };
  const NodeId first_after =
      nearest([&](const NodeId& node) { return clockwise(operation.key, node); });
  const NodeId first_before =
      nearest([&](const NodeId& node) { return clockwise(node, operation.key); });
  for (const NodeId& node : replicas) {
    const bool found_anyway =
        (finding_after && node == first_after) || (finding_before && node == first_before);
    const bool was_asked = std::any_of(operation.asked.begin(), operation.asked.end(),
                                       [&](const Asked& asked) { return asked.node == node; });
    if (!found_anyway && !was_asked) ask(operation, node);
  }
}

void Client::ask(Operation& operation, const NodeId& node) {
  Asked& asked = operation.asked.emplace_back();
  asked.node = node;
  if (node == core_.self()) {
    answer_here(operation, asked);
    return;
  }
  const wire::Method method =
      operation.subscribing ? kSubscribeMethod : first_method(operation.order.task);
  asked.request = send_exact(node, method, body_of(operation), parameters_.request_tries);
}

// --- Replicas answer -----------------------------------------------------------------------------

void Client::on_answer(const Answer& answer) {
  for (const auto& each : operations_) {
    Operation& operation = *each;
    for (Asked& asked : operation.asked) {
      if (asked.request != answer.request_id && asked.credential_request != answer.request_id)
        continue;
      on_reply(operation, asked, answer);
      evaluate(operation);
      return;
    }
  }
  on_notice_credential(answer);  // else it comes late: its operation has ended
}

void Client::on_reply(Operation& operation, Asked& asked, const Answer& answer) {
  if (asked.credential_request == answer.request_id) {
    asked.credential_request = 0;
    const auto credential = parse_credential_reply(answer.body);
    if (credential && !credential->empty())
      operation.reading.take_credential(core_, asked.credential_owner, *credential);
    return;
  }
  asked.request = 0;
  if (!answer.answered) return;
  asked.node = answer.responder;
  if (answer.responder == core_.self()) return answer_here(operation, asked);
  if (answer.query.method == kStoreMethod) {
    if (const auto reply = parse_store_reply(answer.body)) return take(operation, asked, *reply);
  } else if (answer.query.method == kGetMethod) {
    if (const auto reply = parse_get_reply(answer.body)) return take(operation, asked, *reply);
  } else if (const auto reply = parse_subscribe_reply(answer.body)) {
    asked.answered = true;
    asked.counts = reply->outcome == Outcome::kDone;
    return;
  }
  core_.drops.add(Drop::kMalformed);
}

void Client::answer_here(Operation& operation, Asked& asked) {
  asked.node = core_.self();
  const std::size_t room = wire::kMaxMessageBytes;
  if (is_write(operation.order.task)) {
    take(operation, asked,
         replica_.store(core_.self(), core_.signer.credential(), {operation.value, {}}, room));
  } else if (operation.subscribing) {
    const auto seconds = parameters_.subscription.count_ms() / 1000;
    const auto reply =
        replica_.subscribe(core_.self(), {operation.key, static_cast<std::uint16_t>(seconds)});
    asked.answered = true;
    asked.counts = reply.outcome == Outcome::kDone;
  } else {
    GetRequest request{operation.key, false, {}};
    for (bool more = true; more;) {
      const GetReply reply = replica_.get(request, room);
      more = reply.more && !reply.records.empty();
      if (more) request.after = parse_value(reply.records[reply.records.size() - 1].value)->owner;
      GetReply page = reply;
      page.more = false;
      take(operation, asked, page);
    }
  }
}

void Client::add_named(Operation& operation, const Asked& asked, const Nodes& nodes) {
  if (!asked.found_by_ring) return;
  const auto add = [&](const NodeId& node) {
    const auto& named = operation.named;
    if (named.size() < kMaxNamed && std::find(named.begin(), named.end(), node) == named.end())
      operation.named.push_back(node);
  };
  add(asked.node);
  for (const NodeId& node : nodes)
    add(node);
}

void Client::take(Operation& operation, Asked& asked, const StoreReply& reply) {
  asked.answered = true;
  add_named(operation, asked, reply.nodes);
  switch (reply.outcome) {
    case Outcome::kDone:
      operation.stored = true;
      asked.counts = operation.order.task != Task::kCreate || reply.settled;
      break;
    case Outcome::kHeld:
      asked.denies = reply.settled;
      if (!reply.holder.value.empty()) take(operation, asked, reply.holder);
      break;
    case Outcome::kStale:
      // Nobody vouches for it. One that no clock explains would, once signed, leave this owner no
      // later version.
      if (reply.sequence <= latest_sequence(core_.clock.wall))
        operation.stale_sequence = std::max(operation.stale_sequence, reply.sequence);
      break;
    case Outcome::kRefused:
    case Outcome::kFull:
      operation.refused = true;
      break;
    case Outcome::kTooFast:
    case Outcome::kElsewhere:
    case Outcome::kNeedsCredential:
      break;
  }
}

void Client::take(Operation& operation, Asked& asked, const GetReply& reply) {
  asked.answered = true;
  ++asked.pages;
  add_named(operation, asked, reply.nodes);
  for (const Record& record : reply.records)
    if (asked.versions.size() < parameters_.max_values_a_key) take(operation, asked, record);
  if (reply.more && asked.pages <= parameters_.max_values_a_key) {
    GetRequest next{operation.key, true, {}};
    if (!reply.records.empty()) {
      const auto last = parse_value(reply.records[reply.records.size() - 1].value);
      if (!last) return;
      next.after = last->owner;
    } else if (reply.nodes.empty()) {
      return;  // nothing new, and more of it
    }
    asked.request = send_exact(asked.node, kGetMethod, encoded(next), parameters_.request_tries);
    return;
  }
  asked.counts = reply.settled || !asked.versions.empty();
}

void Client::take(Operation& operation, Asked& asked, const Record& record) {
  const auto taken =
      operation.reading.take(core_, operation.key, record, asked.node, parameters_.max_values_read);
  if (taken == Reading::Taken::kRefused) return;
  const auto value = parse_value(record.value);
  asked.versions.push_back(value->id());
  if (taken == Reading::Taken::kAuthentic || asked.credential_request != 0) return;
  wire::ByteWriter writer;
  emit_credential_request(writer, value->owner);
  asked.credential_owner = value->owner;
  asked.credential_request =
      send_exact(asked.node, kCredentialMethod, writer.view(), parameters_.request_tries);
}

// --- An operation ends ---------------------------------------------------------------------------

void Client::evaluate(Operation& operation) {
  if (operation.state != State::kAsking) return;
  ask_replicas(operation);
  const auto waits = [](const Asked& asked) { return asked.waits(); };
  const bool all_ended = std::none_of(operation.asked.begin(), operation.asked.end(), waits);
  const Nodes replicas = nearest_to(operation.key, operation.named);
  const auto counted = std::count_if(replicas.begin(), replicas.end(), [&](const NodeId& node) {
    return std::any_of(operation.asked.begin(), operation.asked.end(),
                       [&](const Asked& asked) { return asked.node == node && asked.counts; });
  });
  const bool found =
      std::none_of(operation.asked.begin(), operation.asked.end(),
                   [](const Asked& asked) { return asked.found_by_ring && asked.request != 0; });
  // Both sides' views of who the replicas are come first. In a ring that has them there are eight
  // for each key: who names fewer does not make a few of them a majority.
  const std::size_t all =
      replica_.neighbourhood().sees_whole_ring() ? replicas.size() : kMaxReplicas;
  const bool majority = found && static_cast<std::size_t>(counted) > all / 2;
  if (const auto result = judge(operation, all_ended, majority)) {
    finish(operation, *result, majority);
  } else if (all_ended) {
    try_again(operation);
  }
}

std::optional<Result> Client::judge(const Operation& operation, bool all_ended,
                                    bool majority) const {
  const auto counts = [](const Asked& asked) { return asked.counts; };
  switch (operation.order.task) {
    case Task::kPut:
    case Task::kRemove:
      if (majority) return Result::kDone;
      if (all_ended && operation.refused && !operation.stored) return Result::kRefused;
      return std::nullopt;
    case Task::kCreate:
      return judge_create(operation, all_ended, majority);
    case Task::kGet: {
      const bool credential_missing =
          std::any_of(operation.asked.begin(), operation.asked.end(),
                      [](const Asked& asked) { return asked.credential_request != 0; });
      const bool any = !operation.reading.latest().empty();
      if (majority && any && !credential_missing) return Result::kDone;
      if (all_ended && majority) return Result::kNothing;
      if (all_ended && any) return Result::kNoMajority;
      return std::nullopt;
    }
    case Task::kSubscribe:
      if (all_ended && std::any_of(operation.asked.begin(), operation.asked.end(), counts))
        return Result::kDone;
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Result> Client::judge_create(const Operation& operation, bool all_ended,
                                           bool majority) const {
  const Reading::Version* const holder = operation.reading.holder(core_.self());
  if (holder == nullptr) {
    if (majority) return Result::kDone;
    if (all_ended && operation.refused && !operation.stored) return Result::kRefused;
    return std::nullopt;
  }
  if (!all_ended) return std::nullopt;
  // Somebody lives there, or creates it at the same time: then each may have some replicas, and the
  // rule says who tries again and who withdraws.
  const auto ours = parse_value(operation.value);
  const auto theirs = parse_value(holder->value);
  const bool yields =
      !prevails(core_, {*ours, core_.signer.credential()}, {*theirs, holder->credential});
  if (yields) return Result::kHeld;
  if (operation.order.renewal) {
    if (majority) return Result::kDone;
    // Replicas of two parts that met settle it among themselves, soon. If instead most of them know
    // of the other alone, round after round, then none of ours came near the key: it stays theirs.
    const auto denials =
        static_cast<std::size_t>(std::count_if(operation.asked.begin(), operation.asked.end(),
                                               [](const Asked& asked) { return asked.denies; }));
    if (denials * 2 <= operation.asked.size()) return Result::kNoMajority;
    const bool last_round = operation.rounds + 1 >= parameters_.rounds;
    return last_round ? std::optional(Result::kHeld) : std::nullopt;
  }
  const bool contested = operation.stored && operation.rounds == 0;
  return contested ? std::nullopt : std::optional(Result::kHeld);
}

void Client::try_again(Operation& operation) {
  if (++operation.rounds >= parameters_.rounds) {
    finish(operation, Result::kNoMajority, false);
    return;
  }
  operation.state = State::kPause;
  operation.resume =
      core_.now() + parameters_.round_interval + core_.jitter(parameters_.round_interval);
  core_.wake_at(core_.now());  // another one may begin meanwhile
}

void Client::finish(Operation& operation, Result result, bool majority) {
  Done done;
  done.operation = operation.id;
  done.key = operation.key;
  done.result = result;
  done.majority = majority;
  if (operation.order.task == Task::kGet) {
    read_values(operation, done);
    repair(operation);
  } else if (operation.order.task == Task::kSubscribe) {
    look_for_news(operation.key, operation.reading);
  } else if (operation.stored) {
    memory_.remember(operation.key, core_.self(), operation.sequence,
                     core_.clock.wall + operation.order.ttl);
  }
  // What some replicas granted and others did not is given back. A renewal that found no majority
  // is still the holder's.
  const bool gave_up =
      result == Result::kHeld || (!operation.order.renewal && result != Result::kDone);
  const bool withdraws = operation.order.task == Task::kCreate && gave_up && operation.stored;
  if (const auto* const holder = operation.reading.holder(core_.self());
      holder != nullptr && result == Result::kHeld)
    done.holder = holder->owner;
  done.order = operation.order;
  Order withdrawal = operation.order;
  const auto same = std::find_if(operations_.begin(), operations_.end(),
                                 [&](const auto& each) { return each.get() == &operation; });
  operations_.erase(same);
  if (withdraws) {
    withdrawal.task = Task::kRemove;
    withdrawal.asker = Asker::kUpkeep;
    begin(std::move(withdrawal));
  }
  done_.push_back(std::move(done));
  core_.wake_at(core_.now());
}

void Client::read_values(const Operation& operation, Done& done) {
  const bool asked_done = done.result == Result::kDone;
  for (const Reading::Version* const version : operation.reading.latest()) {
    if (memory_.is_rolled_back(operation.key, version->owner, version->sequence,
                               core_.clock.wall)) {
      core_.drops.add(Drop::kRolledBack);
      done.result = Result::kNoMajority;
      done.majority = false;
      continue;
    }
    memory_.remember(operation.key, version->owner, version->sequence, version->not_after);
    if (!version->removed) done.values.push_back(found(*version));
  }
  if (done.values.empty() && asked_done && done.result == Result::kDone)
    done.result = Result::kNothing;
}

// Replicas that answered without what others have get it from the reader, where value and
// credential fit into one message; elsewhere it is left to their hand-over.
void Client::repair(const Operation& operation) {
  std::size_t left = parameters_.max_repairs;
  for (const Reading::Version* const version : operation.reading.latest()) {
    const Record record{version->value, version->credential};
    if (encoded_bytes(record) > rpc_.max_body_bytes()) continue;
    for (const Asked& asked : operation.asked) {
      const bool lacks = asked.answered && std::find(asked.versions.begin(), asked.versions.end(),
                                                     version->id) == asked.versions.end();
      if (!lacks || left == 0) continue;
      --left;
      if (asked.node == core_.self()) {
        static_cast<void>(replica_.store(core_.self(), {}, record, wire::kMaxMessageBytes));
      } else {
        send_exact(asked.node, kStoreMethod, encoded(record), 1);
      }
    }
  }
}

void Client::tick() {
  std::size_t active = 0;
  for (const auto& operation : operations_)
    if (operation->state == State::kAsking) ++active;
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    Operation& operation = *operations_[i];
    const bool pauses = operation.state == State::kPause && core_.now() < operation.resume;
    if (pauses) core_.wake_at(operation.resume);
    if (pauses || operation.state == State::kAsking || active >= parameters_.active_operations)
      continue;
    ++active;
    start_round(operation);
    core_.wake_at(core_.now());  // this node may have answered itself, or nobody can
    evaluate(operation);
    if (i >= operations_.size() || operations_[i].get() != &operation) --i;
  }
}

std::optional<Done> Client::take_done() {
  if (done_.empty()) return std::nullopt;
  Done done = std::move(done_.front());
  done_.erase(done_.begin());
  return done;
}

// --- Changes that replicas tell of ---------------------------------------------------------------

void Client::on_notice(const NodeId& from, const Record& record) {
  const auto value = parse_value(record.value);
  if (!value) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  Notice notice;
  notice.owner = value->owner;
  notice.key = key_of(core_.verifier, core_.identity.group, value->kind, value->owner, value->name);
  if (memory_.last(notice.key, value->owner) >= value->sequence) return;
  switch (notice.reading.take(core_, notice.key, record, from, 1)) {
    case Reading::Taken::kRefused:
      return;
    case Reading::Taken::kAuthentic:
      return look_for_news(notice.key, notice.reading);
    case Reading::Taken::kNeedsCredential:
      break;
  }
  if (notices_.size() >= kMaxNotices) return;
  wire::ByteWriter writer;
  emit_credential_request(writer, notice.owner);
  notice.request = send_exact(from, kCredentialMethod, writer.view(), parameters_.request_tries);
  if (notice.request != 0) notices_.push_back(std::move(notice));
}

void Client::on_notice_credential(const Answer& answer) {
  const auto found = std::find_if(notices_.begin(), notices_.end(), [&](const Notice& notice) {
    return notice.request == answer.request_id;
  });
  if (found == notices_.end()) return;
  Notice notice = std::move(*found);
  notices_.erase(found);
  const auto credential = parse_credential_reply(answer.body);
  if (answer.answered && credential && !credential->empty()) {
    notice.reading.take_credential(core_, notice.owner, *credential);
    look_for_news(notice.key, notice.reading);
  }
}

void Client::look_for_news(const Key& key, const Reading& reading) {
  for (const Reading::Version* const version : reading.latest()) {
    if (memory_.remember(key, version->owner, version->sequence, version->not_after))
      news_.push_back({key, *version});
  }
  core_.wake_at(core_.now());
}

std::optional<Client::News> Client::take_news() {
  if (news_.empty()) return std::nullopt;
  News news = std::move(news_.front());
  news_.erase(news_.begin());
  return news;
}

}  // namespace ringway::overlay::dht
