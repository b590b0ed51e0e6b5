#include "overlay/dht/dht.hpp"

#include <utility>

#include "overlay/dht/admission.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

// The versions that were read are remembered, so many of them: strangers' values must not displace
// those by notices that nobody asked for.
bool is_awaited(const Record& notice, const Upkeep& upkeep) {
  const auto value = parse_value(notice.value);
  return value && upkeep.awaits(*value);
}

}  // namespace

std::uint64_t Dht::begin(Order order) {
  if (order.name.size() > kMaxNameBytes || order.payload.size() > kMaxPayloadBytes ||
      order.ttl > kLongestTtl)
    return 0;
  if (order.kind == Kind::kName && !is_permitted_name(order.name)) return 0;
  if (is_exclusive(order.kind) && order.task == Task::kPut) return 0;
  if (client_.operations() >= core_.parameters.dht.max_operations) {
    core_.drops.add(Drop::kOperationsFull);
    return 0;
  }
  const bool kept = order.task == Task::kGet || upkeep_.add(order);
  if (!kept && order.task != Task::kRemove) return 0;
  return client_.begin(std::move(order));
}

Key Dht::key(const Order& order) const {
  const bool own = order.task != Task::kGet && order.task != Task::kSubscribe;
  return key_of(core_.verifier, core_.identity.group, order.kind, own ? core_.self() : order.owner,
                order.name);
}

// --- From other nodes ----------------------------------------------------------------------------

void Dht::on_request(const wire::RoutedMessage& message, const wire::Request& request) {
  wire::ByteWriter reply;
  const std::size_t room = rpc_.max_body_bytes();
  if (request.method == kStoreMethod) {
    if (const auto record = parse_record(request.body))
      emit(reply, replica_.store(message.source, message.credential, *record, room));
  } else if (request.method == kGetMethod) {
    if (const auto get = parse_get(request.body)) emit(reply, replica_.get(*get, room));
  } else if (request.method == kSubscribeMethod) {
    if (const auto subscribe = parse_subscribe(request.body))
      emit(reply, replica_.subscribe(message.source, *subscribe));
  } else if (const auto owner = parse_credential_request(request.body)) {
    emit_credential_reply(reply, replica_.credential_of(*owner));
  }
  if (reply.size() == 0) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  rpc_.reply_for_service(message, request, reply.view());
}

void Dht::on_notice(const wire::RoutedMessage& message) {
  const auto record = parse_record(message.payload);
  if (!record) {
    core_.drops.add(Drop::kMalformed);
  } else if (!is_awaited(*record, upkeep_)) {
    core_.drops.add(Drop::kUnexpected);
  } else {
    client_.on_notice(message.source, *record);
  }
}

// --- Time ----------------------------------------------------------------------------------------

void Dht::begin_turn() {
  const bool changed = std::exchange(neighbourhood_version_, core_.neighbourhood_version) !=
                       core_.neighbourhood_version;
  if (replica_.begin_turn(changed)) upkeep_.on_neighbourhood_change();
}

void Dht::tick() {
  replica_.tick();
  while (const auto local = replica_.subscribers().take_local())
    if (const auto* const entry = replica_.values().find(local->key, local->owner);
        entry != nullptr && is_awaited(entry->record(), upkeep_))
      client_.on_notice(core_.self(), entry->record());
  upkeep_.tick();
  lease_.tick();
  if (auto order = lease_.take_order(); order && begin(*order) == 0) {
    Done not_begun;
    not_begun.order = std::move(*order);
    not_begun.result = Result::kNoMajority;
    lease_.on_done(not_begun);
  }
  client_.tick();
  while (auto done = client_.take_done())
    on_done(std::move(*done));
  while (const auto news = client_.take_news())
    on_news(*news);
}

void Dht::on_done(Done done) {
  const bool lost = done.order.renewal && done.result == Result::kHeld;
  upkeep_.on_done(done);
  if (lost) {
    lease_.on_lost(done.order.name, done.holder);
    core_.output.tell(output::DhtLost{done.order.kind, done.order.name, done.holder});
  }
  if (done.order.asker == Asker::kLease) lease_.on_done(done);
  if (done.order.asker == Asker::kDriver)
    core_.output.tell(output::DhtDone{done.operation, done.order.task, done.result, done.majority,
                                      done.holder, std::move(done.values)});
}

void Dht::on_news(const Client::News& news) {
  Found value = found(news.version);
  // Of a key that this node holds, it is told when somebody else does.
  const bool ours = is_exclusive(value.kind) && upkeep_.holds(value.kind, value.name);
  if (ours && value.owner != core_.self() && !news.version.removed) {
    const auto theirs = parse_value(news.version.value);
    Value own = *theirs;
    own.owner = core_.self();
    if (!prevails(core_, {own, core_.signer.credential()}, {*theirs, news.version.credential})) {
      Order order;
      order.task = Task::kRemove;
      order.kind = value.kind;
      order.name = value.name;
      order.asker = Asker::kUpkeep;
      begin(order);
      core_.output.tell(output::DhtLost{value.kind, value.name, value.owner});
      lease_.on_lost(value.name, value.owner);
    }
  }
  core_.output.tell(output::DhtChanged{news.key, news.version.removed, std::move(value)});
}

}  // namespace ringway::overlay::dht
