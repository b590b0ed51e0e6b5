#include "overlay/shortcuts.hpp"

#include <algorithm>

#include "overlay/ring_logarithm.hpp"

namespace ringway::overlay {

NodeId draw_shortcut_place(const NodeId& self, std::uint32_t network_log2, Rng& rng) {
  // Distances from 2^160 / N to half of the ring: 2^(159 - (1 - p) (log2 N - 1)), p uniform.
  const std::uint32_t one = 1U << kLogFractionBits;
  const std::uint32_t range = std::max(network_log2, 2 * one) - one;
  const auto below_half = static_cast<std::uint32_t>(rng.below(std::uint64_t{range} + 1));
  const Distance distance = two_to_the(((kRingBits - 1) << kLogFractionBits) - below_half);
  const bool to_the_right = rng.below(2) == 0;
  return advance(self, to_the_right ? distance : Distance{} - distance);
}

std::size_t wanted_shortcuts(std::uint32_t network_log2, const Parameters& parameters) {
  if (network_log2 < parameters.shortcuts_from_log2_size) return 0;
  const std::uint32_t two = 2U << kLogFractionBits;
  return std::min<std::size_t>((network_log2 + two - 1) / two, parameters.max_shortcuts);
}

void Shortcuts::adjust(std::uint32_t network_log2) {
  if (searching_) return;
  const std::size_t have = core_.links.count_wanted_here(wire::kWantsShortcut);
  const std::size_t wanted = wanted_shortcuts(network_log2, core_.parameters);
  if (have < wanted) begin_search(network_log2);
  if (have > wanted + 2) drop_worst();
}

void Shortcuts::begin_search(std::uint32_t network_log2) {
  Query query;
  query.purpose = Purpose::kShortcut;
  query.method = wire::Method::kFind;
  query.destination = draw_shortcut_place(core_.self(), network_log2, core_.rng);
  query.wants = wire::kWantsShortcut;
  searching_ = rpc_.ask(query) != 0;
  search_ends_ = Instant::never();
}

void Shortcuts::on_answer(const Answer& answer) {
  search_ends_ = core_.now();
  if (answer.answered && answer.responder != core_.self()) {
    Contacts choices;
    choices.add({answer.responder, answer.whereabouts.candidates});
    for (const Contact& contact : answer.whereabouts.contacts)
      if (contact.node != core_.self()) choices.add(contact);
    for (std::size_t trials = 0; trials < core_.parameters.shortcut_trials && !choices.empty();) {
      const std::size_t chosen = core_.rng.below(choices.size());
      const Contact contact = choices[chosen];
      choices.remove_at(chosen);
      // A link that serves the ring already does not become one more shortcut.
      if (core_.links.find(contact.node) != nullptr) continue;
      linker_.link_to(contact, wire::kWantsTrial);
      search_ends_ = core_.now() + core_.parameters.shortcut_search_timeout;
      ++trials;
    }
  }
  core_.wake_at(search_ends_);
}

void Shortcuts::tick() {
  if (!searching_ || search_ends_ == Instant::never()) return;
  if (linker_.attempts(wire::kWantsTrial) > 0 && core_.now() < search_ends_) {
    core_.wake_at(search_ends_);
    return;
  }
  searching_ = false;
  Link* best = nullptr;
  for (Link& link : core_.links) {
    if ((link.ours & wire::kWantsTrial) == 0) continue;
    if (best == nullptr || link.rtt.mean() < best->rtt.mean()) best = &link;
  }
  for (Link& link : core_.links) {
    if ((link.ours & wire::kWantsTrial) == 0) continue;
    const std::uint8_t others = link.ours & static_cast<std::uint8_t>(~wire::kWantsTrial);
    core_.set_wants(link, &link == best ? others | wire::kWantsShortcut : others);
  }
}

void Shortcuts::drop_worst() {
  Link* worst = nullptr;
  for (Link& link : core_.links) {
    if ((link.ours & wire::kWantsShortcut) == 0) continue;
    if (worst == nullptr || link.rtt.mean() > worst->rtt.mean()) worst = &link;
  }
  if (worst == nullptr) return;
  core_.set_wants(*worst, worst->ours & static_cast<std::uint8_t>(~wire::kWantsShortcut));
}

}  // namespace ringway::overlay
