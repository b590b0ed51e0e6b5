#include "overlay/sim/simulation.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.hpp"
#include "overlay/sim/distributions.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kOneWay = Duration::milliseconds(50);
constexpr Duration kSetUpRetry = Duration::seconds(1);    // of a message that was lost
constexpr int kSetUpRepeats = 10;                         // within the timeout
constexpr std::size_t kSetUpBytes = 148;                  // as a handshake initiation
constexpr Duration kOpenTimeout = Duration::seconds(10);  // then the driver says that it failed
constexpr Duration kResumeLook = Duration::seconds(1);    // of a driver that was suspended
constexpr std::uint8_t kLastStep = 4;

NodeIndex node_at(const net::Endpoint& endpoint) {
  return load_be<NodeIndex>(endpoint.address.bytes.data() + 4);
}
Candidates candidates_of(NodeIndex node) {
  Candidates candidates;
  candidates.add(endpoint_of(node));
  return candidates;
}

}  // namespace

double Statistics::hops_mean() const {
  const std::uint64_t answers = lookups_ok + lookups_retried;
  return answers == 0 ? 0 : static_cast<double>(hops_total) / static_cast<double>(answers);
}

unsigned Statistics::hops_percentile(unsigned percent) const {
  const std::uint64_t answers = lookups_ok + lookups_retried;
  std::uint64_t seen = 0;
  for (unsigned count = 0; count < hops.size(); ++count) {
    seen += hops[count];
    if (seen * 100 >= answers * percent) return count;
  }
  return 0;
}

Simulation::Simulation(const Options& options, std::unique_ptr<LatencyModel> latency)
    : options_(options),
      latency_(latency ? std::move(latency) : make_fixed_latency(kOneWay)),
      world_rng_(options.seed),
      network_rng_(options.seed ^ 0x6e6574776f726b),
      reach_(options.seed, options.linkable_ppm) {}

Simulation::~Simulation() = default;

// --- The world -----------------------------------------------------------------------------------

NodeIndex Simulation::add_node(Instant start) {
  const auto index = static_cast<NodeIndex>(nodes_.size());
  const NodeId id = NodeId::random(world_rng_);
  Node& node = nodes_.emplace_back();
  node.id = id;
  node.program = make_program(index);
  if (index >= options_.well_known && network_rng_.below(1'000'000) < options_.nat_ppm)
    set_nat(index, draw_nat(network_rng_));
  queue_.push(start, {.what = Happening::kStart, .subject = index});
  return index;
}

std::unique_ptr<Simulation::Program> Simulation::make_program(NodeIndex index) {
  auto program =
      std::make_unique<Program>(options_, nodes_[index].id, world_rng_.next_u64(), verifier_);
  ++nodes_[index].incarnation;
  Overlay& overlay = program->overlay;
  overlay.set_candidates(reach_.knows_own_address(index) ? candidates_of(index) : Candidates{});
  for (NodeIndex known = 0; known < options_.well_known; ++known)
    if (known != index) overlay.add_well_known(candidates_of(known));
  return program;
}

void Simulation::add_nodes(std::size_t count, Instant first, Duration within) {
  for (std::size_t i = 0; i < count; ++i)
    add_node(first + draw_uniform(world_rng_, within));
}

void Simulation::start_node(NodeIndex index) {
  Node& node = nodes_[index];
  node.alive = true;
  ring_order_.insert(
      std::upper_bound(ring_order_.begin(), ring_order_.end(), index,
                       [&](NodeIndex a, NodeIndex b) { return nodes_[a].id < nodes_[b].id; }),
      index);
  input(index).start(clock(index));
  drain(index);
  if (!lookups_scheduled_ && options_.lookup_interval > Duration{}) {
    lookups_scheduled_ = true;
    queue_.push(now_ + options_.lookups_begin, {.what = Happening::kLookup});
  }
}

void Simulation::take_out(NodeIndex index) {
  nodes_[index].alive = false;
  nodes_[index].paused = false;
  nodes_[index].timer_at = Instant::never();
  if (hostile(index) != nullptr) hostiles_[index].reset();
  nodes_[index].relay_tables = {};
  ring_order_.erase(std::find(ring_order_.begin(), ring_order_.end(), index));
  statistics_.lookups_abandoned +=
      std::erase_if(lookups_, [&](const Lookup& lookup) { return lookup.asking == index; });
}

void Simulation::crash(NodeIndex index) {
  take_out(index);
  for (const Link& link : nodes_[index].program->overlay.links())
    connections_.close(Side::of(link.id));
  nodes_[index].program.reset();
}

void Simulation::leave(NodeIndex index) {
  input(index).leave(clock(index));
  drain(index);
  take_out(index);
  nodes_[index].program.reset();
}

bool Simulation::reaches(NodeIndex from, NodeIndex to) const {
  return nodes_[to].alive && !nodes_[to].paused && reach_.hears(to, from);
}

void Simulation::schedule(Instant when, std::function<void()> action) {
  queue_.push(when,
              {.what = Happening::kAction, .subject = static_cast<std::uint32_t>(actions_.size())});
  actions_.push_back(std::move(action));
}

// --- Events --------------------------------------------------------------------------------------

void Simulation::run_until(Instant end) {
  while (!queue_.empty() && queue_.next_time() <= end) {
    now_ = queue_.next_time();
    handle(queue_.pop());
  }
  now_ = end;
}

void Simulation::handle(const Occurrence& occurrence) {
  ++statistics_.events;
  if (occurrence.at_relay) return handle_at_relay(occurrence);
  switch (occurrence.what) {
    case Happening::kTimer: {
      Node& node = nodes_[occurrence.subject];
      if (!node.alive || node.paused || node.timer_at != now_) return;  // it was set anew
      node.timer_at = Instant::never();
      ++statistics_.timers;
      input(occurrence.subject).tick(clock(occurrence.subject));
      drain(occurrence.subject);
      return;
    }
    case Happening::kMessage:
      return handle_message(occurrence);
    case Happening::kSetUp:
      return handle_set_up(occurrence);
    case Happening::kInitiate:
      return handle_initiate(occurrence);
    case Happening::kDown:
      return handle_down(occurrence);
    case Happening::kOpenTimeout:
      return handle_open_timeout(occurrence);
    case Happening::kStart:
      return start_node(occurrence.subject);
    case Happening::kLookup:
      return start_lookup();
    case Happening::kAction:
      return std::exchange(actions_[occurrence.subject], nullptr)();
  }
}

void Simulation::handle_message(const Occurrence& occurrence) {
  const Side side = Side::of(LinkId{occurrence.subject});
  Connection& connection = connections_[side.connection];
  const NodeIndex to = connection.node[side.side];
  if (connection.generation == occurrence.generation && connection.end[side.side] == End::kUp &&
      arrives(occurrence, side)) {
    if (!connection.relayed)  // as WireGuard roams
      connection.port[side.side] = static_cast<std::uint16_t>(occurrence.header >> 16);
    const ConstBytes bytes = buffers_[occurrence.buffer];
    history_.add(static_cast<std::uint64_t>(now_.ns()));
    history_.add((std::uint64_t{connection.node[1 - side.side]} << 32) | to);
    history_.add(bytes);
    if (!hostile_takes(to, side.link(), bytes)) {
      input(to).receive(clock(to), side.link(), bytes);
      drain(to);
    }
  }
  free_buffers_.push_back(occurrence.buffer);
}

void Simulation::handle_down(const Occurrence& occurrence) {
  const Side side = Side::of(LinkId{occurrence.subject});
  const Connection& connection = connections_[side.connection];
  if (connection.generation != occurrence.generation || connection.end[side.side] != End::kUp)
    return;
  const NodeIndex node = connection.node[side.side];
  const NodeIndex other = connection.node[1 - side.side];
  if (nodes_[node].paused) return;  // it hears nothing, through relays neither
  if (!connection.relayed && !reaches(other, node) && nodes_[node].alive) return;
  connections_.close(side);
  if (!nodes_[node].alive) return;
  input(node).link_down(clock(node), side.link());
  drain(node);
}

// --- Links come up -------------------------------------------------------------------------------

void Simulation::open(NodeIndex from, const output::Open& open) {
  std::optional<NodeIndex> to;
  Duration one_way = kOneWay;
  if (open.relayed) {
    to = find(open.to.node);
    if (const output::RelayPath* const path = path_of(from, open.to.node); to && path != nullptr) {
      const NodeIndex relay = relay_of(*path);
      one_way = latency_->between(from, relay) + latency_->between(relay, *to);
    }
  } else if (const NodeIndex node = node_at(open.to.candidates[0]); node < nodes_.size()) {
    to = node;
    one_way = latency_->between(from, node);
  }
  if (onlooker_ != nullptr)
    onlooker_->on_open(from, to.value_or(static_cast<NodeIndex>(nodes_.size())));
  const std::uint32_t index = connections_.open(from, to.value_or(from), open.attempt, one_way);
  Connection& connection = connections_[index];
  connection.relayed = open.relayed;
  queue_.push(now_ + kOpenTimeout, {.what = Happening::kOpenTimeout,
                                    .subject = Side{index, 0}.link().value,
                                    .generation = connection.generation});
  if (to) initiate(index, open.to.candidates);
}

void Simulation::send_set_up(std::uint32_t index, std::uint8_t step, std::uint16_t port) {
  const Connection& connection = connections_[index];
  ++statistics_.set_up_messages;
  const Side receiver{index, step % 2U};  // odd ones reach the other end
  const auto leg = first_leg(receiver.other(), port);
  if (!leg) return;
  const Instant arrival =
      set_up_arrival(connection.node[receiver.other().side], receiver.other().link(), leg->one_way);
  queue_.push(arrival, {.what = Happening::kSetUp,
                        .step = step,
                        .at_relay = leg->to_relay,
                        .subject = receiver.link().value,
                        .generation = connection.generation,
                        .header = leg->header,
                        .relay = leg->relay});
}

Instant Simulation::set_up_arrival(NodeIndex from, LinkId link, Duration one_way) {
  Instant sent = now_;
  if (network_ == nullptr) {
    while (lost())
      sent = sent + kSetUpRetry;
    return sent + one_way;
  }
  for (int repeats = 0; repeats < kSetUpRepeats; ++repeats, sent = sent + kSetUpRetry) {
    const auto arrivals = network_->carry(from, link, kSetUpBytes, sent, one_way);
    if (arrivals.count > 0) return arrivals.at[0];
  }
  return Instant::never();  // the attempt times out before
}

void Simulation::handle_set_up(const Occurrence& occurrence) {
  const Side side = Side::of(LinkId{occurrence.subject});
  Connection& connection = connections_[side.connection];
  if (connection.generation != occurrence.generation || connection.end[0] != End::kPending) return;
  if (!arrives(occurrence, side)) return;
  // What was repeated is answered, but goes on once.
  if (occurrence.step == 2 && std::exchange(connection.answered, true)) return;
  if (occurrence.step == 3 && connection.end[1] != End::kAbsent) return;
  if (!connection.relayed)
    connection.port[side.side] = static_cast<std::uint16_t>(occurrence.header >> 16);
  if (occurrence.step < kLastStep)
    send_set_up(side.connection, static_cast<std::uint8_t>(occurrence.step + 1),
                connection.port[side.side]);
  if (occurrence.step + 1 >= kLastStep) bring_up(side);
}

void Simulation::bring_up(Side side) {
  Connection& connection = connections_[side.connection];
  connection.end[side.side] = End::kUp;
  const NodeIndex node = connection.node[side.side];
  const NodeIndex other = connection.node[1 - side.side];
  history_.add(static_cast<std::uint64_t>(now_.ns()) ^ node);
  input(node).link_up(
      clock(node), {side.link(), nodes_[other].id, endpoint_of(other, connection.port[side.side]),
                    connection.one_way * 2, side.side == 0 ? connection.attempt : AttemptId{},
                    connection.relayed});
  drain(node);
}

void Simulation::handle_open_timeout(const Occurrence& occurrence) {
  const Side side = Side::of(LinkId{occurrence.subject});
  const Connection& connection = connections_[side.connection];
  if (connection.generation != occurrence.generation || connection.end[0] != End::kPending) return;
  const NodeIndex node = connection.node[0];
  if (nodes_[node].paused) {  // its driver's timer goes off later
    queue_.push(now_ + kResumeLook, occurrence);
    return;
  }
  const AttemptId attempt = connection.attempt;
  close(side.link());
  if (!nodes_[node].alive) return;
  input(node).open_failed(clock(node), attempt);
  drain(node);
}

void Simulation::close(LinkId link) {
  const Side side = Side::of(link);
  const Connection& connection = connections_[side.connection];
  if (connection.end[side.side] == End::kClosed) return;
  if (connection.end[1 - side.side] == End::kUp) {
    queue_.push(now_ + connection.one_way, {.what = Happening::kDown,
                                            .subject = side.other().link().value,
                                            .generation = connection.generation});
  }
  connections_.close(side);
}

// --- What nodes want done ------------------------------------------------------------------------

void Simulation::drain(NodeIndex index) {
  Overlay& overlay = nodes_[index].program->overlay;
  Output output;
  while (overlay.poll_output(output)) {
    if (const auto* const sent = std::get_if<output::Send>(&output)) {
      if (hostile(index) != nullptr) {
        send_altered(index, *sent);
      } else {
        send(index, sent->link, sent->bytes);
      }
    } else if (const auto* const opened = std::get_if<output::Open>(&output)) {
      open(index, *opened);
    } else if (const auto* const closed = std::get_if<output::Close>(&output)) {
      close(closed->link);
    } else if (const auto* const relaying = std::get_if<Relaying>(&output)) {
      nodes_[index].relay_tables.take(*relaying);
    } else {
      const auto& event = std::get<Event>(output);
      if (const auto* const done = std::get_if<output::LookupDone>(&event))
        end_lookup(index, *done);
      for (const Observer& observer : observers_)
        observer(index, event);
    }
  }
  set_timer(index);
}

void Simulation::set_timer(NodeIndex index) {
  Node& node = nodes_[index];
  // Not at this very moment: time must pass.
  const Instant deadline = std::max(clocks_.when(index, node.program->overlay.next_deadline()),
                                    now_ + Duration::microseconds(1));
  if (deadline >= node.timer_at) return;
  node.timer_at = deadline;
  if (deadline < Instant::never())
    queue_.push(deadline, {.what = Happening::kTimer, .subject = index});
}

void Simulation::send(NodeIndex from, LinkId link, ConstBytes bytes) {
  const Side side = Side::of(link);
  const Connection& connection = connections_[side.connection];
  CHECK(connection.end[side.side] == End::kUp && connection.node[side.side] == from);
  ++statistics_.messages;
  statistics_.message_bytes += bytes.size();
  if (onlooker_ != nullptr) onlooker_->on_sent(from, connection.node[1 - side.side], bytes);
  const auto leg = first_leg(side, connection.port[side.side]);
  if (!leg) return;
  if (network_ != nullptr) {
    send_by_network(from, link, bytes, *leg);
  } else if (!lost()) {
    post(now_ + leg->one_way, side.other(), bytes, *leg);
  }
}

void Simulation::post(Instant arrival, Side to, ConstBytes bytes, const FirstLeg& leg) {
  if (free_buffers_.empty()) {
    free_buffers_.push_back(static_cast<std::uint32_t>(buffers_.size()));
    buffers_.emplace_back();
  }
  const std::uint32_t buffer = free_buffers_.back();
  free_buffers_.pop_back();
  buffers_[buffer].assign(bytes.begin(), bytes.end());
  queue_.push(arrival, {.what = Happening::kMessage,
                        .at_relay = leg.to_relay,
                        .subject = to.link().value,
                        .generation = connections_[to.connection].generation,
                        .buffer = buffer,
                        .header = leg.header,
                        .relay = leg.relay});
}

// --- Lookups, and whether all is right -----------------------------------------------------------

void Simulation::start_lookup() {
  const auto alive = static_cast<std::int64_t>(std::max<std::size_t>(ring_order_.size(), 1));
  const auto mean = Duration::nanoseconds(options_.lookup_interval.count_ns() / alive);
  queue_.push(now_ + draw_exponential(world_rng_, mean), {.what = Happening::kLookup});
  if (ring_order_.empty()) return;
  const NodeIndex asking = ring_order_[world_rng_.below(ring_order_.size())];
  const NodeId place = NodeId::random(world_rng_);
  if (nodes_[asking].paused || !nodes_[asking].program->overlay.in_ring()) return;
  Lookup lookup{0, asking, place, nearest_in_ring(place)};
  ++statistics_.lookups;
  lookup.request_id = input(asking).lookup(clock(asking), place, options_.lookup_tries);
  if (lookup.request_id == 0) {
    ++statistics_.lookups_unanswered;
  } else {
    lookups_.push_back(lookup);
  }
  drain(asking);
}

void Simulation::end_lookup(NodeIndex node, const output::LookupDone& done) {
  const auto found = std::find_if(lookups_.begin(), lookups_.end(), [&](const Lookup& lookup) {
    return lookup.asking == node && lookup.request_id == done.request_id;
  });
  if (found == lookups_.end()) return;
  const Lookup lookup = *found;
  *found = lookups_.back();
  lookups_.pop_back();
  if (!done.answered) {
    ++statistics_.lookups_unanswered;
    return;
  }
  // Who comes or goes while a lookup is under way may be right or not.
  const bool right = done.responder == nodes_[lookup.nearest_at_first].id ||
                     done.responder == nodes_[nearest_in_ring(lookup.place)].id;
  if (!right) {
    ++statistics_.lookups_wrong;
    return;
  }
  ++(done.tries == 1 ? statistics_.lookups_ok : statistics_.lookups_retried);
  statistics_.hops_total += done.hops;
  ++statistics_.hops[done.hops];
}

NodeIndex Simulation::nearest_in_ring(const NodeId& place) const {
  CHECK(!ring_order_.empty());
  const std::size_t count = ring_order_.size();
  const auto after =
      std::lower_bound(ring_order_.begin(), ring_order_.end(), place,
                       [&](NodeIndex node, const NodeId& id) { return nodes_[node].id < id; });
  const auto begin = static_cast<std::size_t>(after - ring_order_.begin());
  const auto first_in_ring = [&](std::size_t at, std::size_t step) {
    for (std::size_t tried = 0; tried < count; ++tried, at += step)
      if (overlay(ring_order_[at % count]).in_ring()) return ring_order_[at % count];
    return ring_order_.front();
  };
  const NodeIndex right = first_in_ring(begin, 1);
  const NodeIndex left = first_in_ring(begin + count - 1, count - 1);
  return ring_distance(nodes_[left].id, place) < ring_distance(nodes_[right].id, place) ? left
                                                                                        : right;
}

std::vector<NodeIndex> Simulation::misplaced() const {
  std::vector<NodeIndex> misplaced;
  const std::size_t count = ring_order_.size();
  if (count == 0) return misplaced;
  const std::size_t a_side = std::min(options_.parameters.near_a_side, count - 1);
  for (std::size_t place = 0; place < count; ++place) {
    const Overlay& overlay = nodes_[ring_order_[place]].program->overlay;
    const auto& right = overlay.near_neighbours().right();
    const auto& left = overlay.near_neighbours().left();
    bool in_place = right.size() >= a_side && left.size() >= a_side;
    for (std::size_t i = 0; in_place && i < a_side; ++i) {
      const auto is_near = [&](const NodeId& said, std::size_t at) {
        const NodeId& true_one = nodes_[ring_order_[at % count]].id;
        const Link* const link = overlay.links().find(true_one);
        return said == true_one && link != nullptr && link->near();
      };
      in_place = is_near(right[i], place + 1 + i) && is_near(left[i], place + count - 1 - i);
    }
    if (!in_place) misplaced.push_back(ring_order_[place]);
  }
  return misplaced;
}

std::optional<Duration> Simulation::time_until_right(Duration limit) {
  constexpr Duration kLook = Duration::milliseconds(50);
  const Instant begin = now_;
  while (now_ - begin < limit) {
    run_for(kLook);
    if (ring_right()) return now_ - begin;
  }
  return std::nullopt;
}

}  // namespace ringway::overlay::sim
