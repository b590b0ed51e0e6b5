#include "overlay/dht/hand_over.hpp"

#include <algorithm>
#include <tuple>

#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

// So many values cross at once; the rest waits for the next offer.
constexpr std::size_t kWantedAtOnce = 16;

}  // namespace

void HandOver::find_partners() {
  std::erase_if(partners_, [&](const Partner& partner) {
    const Link* const link = core_.links.find(partner.node);
    return link == nullptr || !link->near();
  });
  for (const Link& link : core_.links) {
    const bool known = std::any_of(partners_.begin(), partners_.end(), [&](const Partner& partner) {
      return partner.node == link.node;
    });
    if (link.near() && !known) partners_.push_back({.node = link.node});
  }
}

HandOver::Partner* HandOver::partner(const NodeId& node) {
  const auto same = [&](const Partner& each) { return each.node == node; };
  auto found = std::find_if(partners_.begin(), partners_.end(), same);
  if (found == partners_.end()) {
    find_partners();
    found = std::find_if(partners_.begin(), partners_.end(), same);
  }
  return found == partners_.end() ? nullptr : &*found;
}

void HandOver::on_neighbourhood_change() {
  if (neighbourhood_.needs_word()) {
    ask_due_ = std::min(
        ask_due_, core_.now() + parameters_.offer_delay + core_.jitter(parameters_.offer_delay));
    core_.wake_at(ask_due_);
  }
  if (store_.empty()) return;
  find_partners();
  for (Partner& partner : partners_)
    restart(partner, parameters_.offer_delay + core_.jitter(parameters_.offer_delay));
}

void HandOver::on_store() {
  if (partners_.empty()) find_partners();
  for (Partner& partner : partners_) {
    partner.due = std::min(partner.due, core_.now() + parameters_.offer_again);
    core_.wake_at(partner.due);
  }
}

void HandOver::on_news() {
  if (partners_.empty()) find_partners();
  for (Partner& partner : partners_)
    restart(partner, parameters_.offer_delay);
}

void HandOver::restart(Partner& partner, Duration delay) {
  partner.repeat = true;
  hasten(partner, delay);
}

void HandOver::hasten(Partner& partner, Duration delay) {
  if (partner.under_way) return;  // to its end first, lest the last pages never leave
  const Instant earliest = partner.last_offer + parameters_.offer_interval;
  partner.due = std::max(std::min(partner.due, core_.now() + delay), earliest);
  core_.wake_at(partner.due);
}

void HandOver::ask() {
  for (const Link& link : core_.links)
    if (link.near()) send(link, kWantMessage, Versions{});
}

void HandOver::tick() {
  if (core_.now() >= ask_due_) {
    ask_due_ = Instant::never();
    if (neighbourhood_.needs_word()) {
      ask();
      ask_due_ = core_.now() + parameters_.ask_interval;
    }
  }
  core_.wake_at(ask_due_);
  for (Partner& partner : partners_) {
    if (core_.now() >= partner.due) {
      const Link* const link = core_.links.find(partner.node);
      if (link != nullptr && link->near() && !store_.empty()) {
        offer(partner, *link);
      } else {
        partner.due = Instant::never();
      }
    }
    core_.wake_at(partner.due);
  }
}

void HandOver::offer(Partner& partner, const Link& link) {
  if (!partner.under_way) {
    partner.page = 0;
    partner.word = neighbourhood_.word_for(partner.node);
  }
  Offer page;
  const Store::Entry* page_end = nullptr;
  bool more = false;
  const auto last = std::tie(partner.after_key, partner.after_owner);
  std::size_t at = partner.under_way ? store_.lower_bound(partner.after_key) : 0;
  for (; at < store_.size(); ++at) {
    const Store::Entry& entry = store_.entry(at);
    if (partner.under_way && std::tie(entry.key, entry.owner) <= last) continue;
    if (entry.not_after <= core_.clock.wall || entry.offered_from > core_.now()) continue;
    if (!neighbourhood_.is_holder(partner.node, entry.key)) continue;
    more = page.versions.full();
    if (more) break;
    page.versions.add({entry.key, entry.id});
    page_end = &entry;
  }
  if (more) {
    partner.after_key = page_end->key;
    partner.after_owner = page_end->owner;
  }
  page.page = partner.page++;
  page.last = !more;
  page.word = partner.word;
  send(link, kOfferMessage, page);
  partner.last_offer = core_.now();
  partner.under_way = more;
  if (more) {
    partner.due = core_.now() + parameters_.page_interval;
  } else {
    partner.due = core_.now() + (partner.repeat ? parameters_.offer_again
                                                : parameters_.offer_refresh +
                                                      core_.jitter(parameters_.offer_refresh));
    partner.repeat = false;
  }
}

void HandOver::on_offer(const Link& link, const Offer& offer) {
  Versions wanted;
  for (const Version& version : offer.versions) {
    if (wanted.size() == kWantedAtOnce) break;
    const auto held = store_.at(version.key);
    const bool here = std::any_of(held.begin(), held.end(), [&](const Store::Entry& entry) {
      return entry.id == version.id;
    });
    if (!here && neighbourhood_.is_holder(core_.self(), version.key)) wanted.add(version);
  }
  if (!wanted.empty()) send(link, kWantMessage, wanted);
  const bool kept = ends_kept(link.node, offer, wanted.empty());
  if (offer.word) neighbourhood_.on_word(*offer.word, kept);
}

bool HandOver::ends_kept(const NodeId& node, const Offer& offer, bool page_kept) {
  if (offer.page == 0 && offer.last) return page_kept;
  Partner* const giver = partner(node);
  if (giver == nullptr) return false;
  if (offer.page == 0) giver->kept = true;
  giver->kept &= page_kept && (offer.page == 0 || offer.page == giver->expected);
  giver->expected = static_cast<std::uint8_t>(offer.page + 1);
  return giver->kept && offer.last;
}

void HandOver::on_want(const Link& link, const Versions& wanted) {
  if (wanted.empty()) return answer(link);
  for (const Version& version : wanted) {
    if (!neighbourhood_.is_holder(link.node, version.key)) continue;
    for (const Store::Entry& entry : store_.at(version.key))
      if (entry.id == version.id) send(link, kHandOverMessage, entry.record());
  }
  if (wanted.size() < kWantedAtOnce) return;
  for (Partner& partner : partners_)
    if (partner.node == link.node && !partner.under_way) restart(partner, Duration{});
}

// The neighbour asks for an offer.
void HandOver::answer(const Link& link) {
  if (!store_.empty()) {
    if (Partner* const asking = partner(link.node)) hasten(*asking, Duration{});
  } else if (const auto word = neighbourhood_.word_for(link.node)) {
    Offer nothing;
    nothing.last = true;
    nothing.word = word;
    send(link, kOfferMessage, nothing);
  }
}

template <typename Content>
void HandOver::send(const Link& link, wire::LinkMessageType type, const Content& content) {
  wire::ByteWriter writer;
  writer.byte(wire::kVersion);
  writer.byte(static_cast<std::uint8_t>(type));
  emit(writer, content);
  core_.output.send(link.id, writer.view());
}

}  // namespace ringway::overlay::dht
