// A few nodes side by side in memory, driven by hand: links come up at once, messages arrive in the
// order in which they were sent, and time passes only when the test says so. Each message can be
// looked at, kept back or changed.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "overlay/overlay.hpp"
#include "overlay/sim/modelled_signatures.hpp"
#include "overlay/sim/relay_tables.hpp"

namespace ringway::overlay {

class Village {
 public:
  struct Message {
    std::size_t from;
    std::size_t to;
    LinkId link;  // the receiver's name for it
    std::vector<std::uint8_t> bytes;
  };

  // A node at this place, with the addresses of all others as well-known ones when `joins`.
  std::size_t add(const NodeId& place, const sim::ModelledGrants& grants = {}) {
    const std::size_t index = houses_.size();
    houses_.push_back(std::make_unique<House>(parameters_, place, index, verifier_, grants));
    Candidates own;
    own.add(address_of(index));
    houses_.back()->overlay.set_candidates(own);
    return index;
  }
  Overlay& operator[](std::size_t node) { return houses_[node]->overlay; }
  void knows(std::size_t node, std::size_t other) {
    Candidates candidates;
    candidates.add(address_of(other));
    (*this)[node].add_well_known(candidates);
  }
  void start(std::size_t node) {
    houses_[node]->up = true;
    (*this)[node].start(clock());
    settle();
  }
  // The node and its addresses fall silent.
  void silence(std::size_t node) { houses_[node]->up = false; }
  void revive(std::size_t node) { houses_[node]->up = true; }
  // No link between the two can be opened from either side.
  void part(std::size_t a, std::size_t b) { parted_.push_back({a, b}); }
  // From now on it can again.
  void rejoin() { parted_.clear(); }

  void pass(Duration duration) {
    const Instant end = now_ + duration;
    for (;;) {
      Instant next = end;
      for (const auto& house : houses_)
        if (house->up) next = std::min(next, std::max(house->overlay.next_deadline(), now_));
      now_ = next;
      if (now_ >= end) return;
      now_ = now_ + Duration::milliseconds(1);
      for (const auto& house : houses_)
        if (house->up && house->overlay.next_deadline() <= now_) house->overlay.tick(clock());
      settle();
    }
  }
  // Hands over what was sent, and what is sent because of it, until there is nothing more.
  void settle() {
    collect();
    while (!under_way_.empty()) {
      Message message = std::move(under_way_.front());
      under_way_.pop_front();
      if (on_message) on_message(message);
      if (houses_[message.to]->up)
        (*this)[message.to].receive(clock(), message.link, message.bytes);
      collect();
    }
  }
  [[nodiscard]] Clock clock() const {
    return {now_, WallTime::from_unix_ns(1'767'225'600'000'000'000 + now_.ns())};
  }
  [[nodiscard]] const Link* link(std::size_t node, std::size_t other) {
    return (*this)[node].links().find((*this)[other].self());
  }
  [[nodiscard]] bool near(std::size_t node, std::size_t other) {
    const Link* const found = link(node, other);
    return found != nullptr && found->near();
  }

  std::function<void(Message&)> on_message;  // may change it
  std::size_t opens = 0;
  std::vector<net::Endpoint> called;  // by opens, the first of their addresses
  struct Told {
    std::size_t node;
    Event event;
  };
  std::vector<Told> events;
  // The last of its kind that was told to anybody; null when there is none.
  template <typename T>
  [[nodiscard]] const T* last_event() const {
    for (auto told = events.rbegin(); told != events.rend(); ++told)
      if (const T* const found = std::get_if<T>(&told->event)) return found;
    return nullptr;
  }

 private:
  struct House {
    House(const Parameters& parameters, const NodeId& id, std::uint64_t seed, Verifier& verifier,
          const sim::ModelledGrants& grants)
        : rng(seed),
          signer(id, grants),
          sealer(id, rng),
          overlay(parameters, {id, {}}, signer, sealer, verifier, rng) {}
    SeededRng rng;
    sim::ModelledSigner signer;
    sim::ModelledSealer sealer;
    Overlay overlay;
    sim::RelayTables relay_tables;
    bool up = false;
  };
  // A link has a number, and each end the name 2 * number + (0 for who opened it).
  struct Ends {
    std::size_t node[2];
    bool relayed = false;
  };

  static net::Endpoint address_of(std::size_t node) {
    const std::uint8_t bytes[4] = {192, 0, 2, static_cast<std::uint8_t>(node)};
    return {net::IpAddress::v4(bytes), 51820};
  }
  // One past the last for an address at which nobody lives.
  [[nodiscard]] std::size_t house_at(const net::Endpoint& endpoint) const {
    std::size_t node = 0;
    while (node < houses_.size() && address_of(node) != endpoint)
      ++node;
    return node;
  }
  void collect() {
    for (std::size_t node = 0; node < houses_.size(); ++node) {
      Output output;
      while ((*this)[node].poll_output(output)) {
        if (const auto* const sent = std::get_if<output::Send>(&output)) {
          const Ends& ends = ends_[sent->link.value / 2];
          const std::size_t to = ends.node[1 - (sent->link.value & 1)];
          if (ends.relayed && !relays(node, to)) continue;
          under_way_.push_back(
              {node, to, LinkId{sent->link.value ^ 1}, {sent->bytes.begin(), sent->bytes.end()}});
        } else if (const auto* const opened = std::get_if<output::Open>(&output)) {
          open(node, *opened);
        } else if (const auto* const event = std::get_if<Event>(&output)) {
          events.push_back({node, *event});
        } else if (const auto* const relaying = std::get_if<Relaying>(&output)) {
          houses_[node]->relay_tables.take(*relaying);
        }
      }
    }
  }
  // Whether the relay that `from` prefers swaps the labels to `to`, and `to` knows what comes out.
  [[nodiscard]] bool relays(std::size_t from, std::size_t to) {
    const auto* const paths = houses_[from]->relay_tables.paths_to((*this)[to].self());
    if (paths == nullptr || paths->empty()) return false;
    const output::RelayPath& path = (*paths)[0];
    const std::size_t relay = ends_[path.relay.value / 2].node[1 - (path.relay.value & 1)];
    const auto* const forward = houses_[relay]->relay_tables.forward(path.send_label);
    return houses_[relay]->up && forward != nullptr &&
           houses_[to]->relay_tables.receives((*this)[from].self(), forward->to_label);
  }
  void open_over_relays(std::size_t node, const output::Open& open) {
    for (std::size_t other = 0; other < houses_.size(); ++other) {
      if ((*this)[other].self() != open.to.node || !houses_[other]->up) continue;
      if (relays(node, other) && relays(other, node)) return bring_up(node, other, open);
    }
    (*this)[node].open_failed(clock(), open.attempt);
  }
  void open(std::size_t node, const output::Open& open) {
    ++opens;
    if (open.relayed) return open_over_relays(node, open);
    called.push_back(open.to.candidates[0]);
    const std::size_t other = house_at(open.to.candidates[0]);
    const bool apart = std::any_of(parted_.begin(), parted_.end(), [&](const auto& pair) {
      return (pair[0] == node && pair[1] == other) || (pair[1] == node && pair[0] == other);
    });
    if (apart || other == houses_.size() || !houses_[other]->up) {
      (*this)[node].open_failed(clock(), open.attempt);
      return;
    }
    bring_up(node, other, open);
  }
  void bring_up(std::size_t node, std::size_t other, const output::Open& open) {
    const auto number = static_cast<std::uint32_t>(ends_.size());
    ends_.push_back({{node, other}, open.relayed});
    (*this)[other].link_up(clock(), {LinkId{2 * number + 1},
                                     (*this)[node].self(),
                                     address_of(node),
                                     Duration::milliseconds(10),
                                     {},
                                     open.relayed});
    (*this)[node].link_up(clock(), {LinkId{2 * number}, (*this)[other].self(), address_of(other),
                                    Duration::milliseconds(10), open.attempt, open.relayed});
  }

  Parameters parameters_;
  sim::ModelledVerifier verifier_;
  std::vector<std::unique_ptr<House>> houses_;
  std::vector<Ends> ends_;
  std::vector<std::array<std::size_t, 2>> parted_;
  std::deque<Message> under_way_;
  Instant now_ = Instant::from_ns(0);
};

inline NodeId eighth(std::uint64_t number) {
  return NodeId(Distance{number << 61, 0, 0});
}

inline constexpr Duration kLong = Duration::seconds(60);

// Nodes at the first so many eighths of the ring, each of which knows the first.
class VillageTest : public testing::Test {
 protected:
  void grow(std::size_t count, const sim::ModelledGrants& grants = {}) {
    for (std::size_t i = 0; i < count; ++i) {
      village_.add(eighth(i), grants);
      if (i > 0) village_.knows(i, 0);
      village_.start(i);
      village_.pass(Duration::seconds(5));
    }
    village_.pass(kLong);
  }
  // A message as `from` would send it to `to`: for what a hostile neighbour may do.
  void inject(std::size_t from, std::size_t to, std::vector<std::uint8_t> bytes) {
    village_[to].receive(village_.clock(), village_.link(to, from)->id, bytes);
    village_.settle();
  }
  [[nodiscard]] std::uint32_t dropped(std::size_t node, Drop reason) {
    return village_[node].drops().value(reason);
  }

  Village village_;
};

}  // namespace ringway::overlay
