#include "overlay/dht/subscribers.hpp"

#include <algorithm>

#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {

Outcome Subscribers::subscribe(const NodeId& node, const SubscribeRequest& request) {
  const auto same = std::find_if(
      subscriptions_.begin(), subscriptions_.end(), [&](const Subscription& subscription) {
        return subscription.key == request.key && subscription.node == node;
      });
  if (request.seconds == 0) {
    if (same != subscriptions_.end()) subscriptions_.erase(same);
    return Outcome::kDone;
  }
  const Duration asked = Duration::seconds(request.seconds);
  const Instant until = core_.now() + std::min(asked, parameters_.longest_subscription);
  if (same != subscriptions_.end()) {
    same->until = until;
    return Outcome::kDone;
  }
  if (subscriptions_.size() >= parameters_.max_subscriptions) expire();
  std::size_t of_key = 0;
  std::size_t of_node = 0;
  for (const Subscription& subscription : subscriptions_) {
    if (subscription.key == request.key) ++of_key;
    if (subscription.node == node) ++of_node;
  }
  if (subscriptions_.size() >= parameters_.max_subscriptions ||
      of_key >= parameters_.max_subscriptions_a_key ||
      of_node >= parameters_.max_subscriptions_a_node) {
    core_.drops.add(Drop::kSubscribersFull);
    return Outcome::kFull;
  }
  subscriptions_.push_back({request.key, node, until});
  return Outcome::kDone;
}

void Subscribers::on_change(const Key& key, const NodeId& owner) {
  for (const Subscription& subscription : subscriptions_)
    if (subscription.key == key && subscription.until > core_.now())
      tell(subscription.node, key, owner);
}

void Subscribers::tell(const NodeId& to, const Key& key, const NodeId& owner) {
  if (to == core_.self()) {
    local_.push_back({key, owner});
    core_.wake_at(core_.now());
    return;
  }
  const Notice notice{to, key, owner};
  if (std::find(notices_.begin(), notices_.end(), notice) != notices_.end()) return;
  if (notices_.size() >= parameters_.max_notices) {
    core_.drops.add(Drop::kSubscribersFull);
    return;
  }
  notices_.push_back(notice);
  due_ = std::min(due_, core_.now());
  core_.wake_at(due_);
}

bool Subscribers::send(const Notice& notice) {
  const Store::Entry* const entry = store_.find(notice.key, notice.owner);
  if (entry == nullptr) return true;
  if (router_.in_flight() * 2 >= core_.parameters.max_in_flight) return false;
  Record record = entry->record();
  const std::size_t room =
      wire::kMaxMessageBytes - wire::kRoutedOverhead - core_.signer.credential().size();
  if (encoded_bytes(record) > room) record.credential = {};
  wire::ByteWriter payload;
  emit(payload, record);
  Outgoing outgoing;
  outgoing.destination = notice.to;
  outgoing.route = {wire::Direction::kNearest, true, true};
  outgoing.type = wire::PayloadType::kDhtNotice;
  outgoing.payload = payload.view();
  router_.originate(outgoing);
  return true;
}

void Subscribers::tick() {
  if (notices_.empty()) return;
  if (core_.now() >= due_) {
    std::size_t sent = 0;
    while (sent < notices_.size() && sent < parameters_.notices_at_once && send(notices_[sent]))
      ++sent;
    notices_.erase(notices_.begin(), notices_.begin() + static_cast<std::ptrdiff_t>(sent));
    due_ = notices_.empty() ? Instant::never() : core_.now() + parameters_.notice_interval;
  }
  core_.wake_at(due_);
}

void Subscribers::expire() {
  std::erase_if(subscriptions_, [&](const Subscription& subscription) {
    return subscription.until <= core_.now();
  });
}

std::optional<Subscribers::Local> Subscribers::take_local() {
  if (local_.empty()) return std::nullopt;
  const Local local = local_.front();
  local_.erase(local_.begin());
  return local;
}

}  // namespace ringway::overlay::dht
