#include "bench/pipeline.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "dataplane/scratch.hpp"
#include "dataplane/to_internet.hpp"

namespace ringway::bench {
namespace {

io::PortCapabilities inner_capabilities(const TrafficShape& shape) {
  io::PortCapabilities capabilities;
  capabilities.tcp_trains_rx = capabilities.tcp_trains_tx = true;
  capabilities.mtu = static_cast<std::uint16_t>(shape.inner_mtu());
  return capabilities;
}

io::PortCapabilities outer_capabilities() {
  io::PortCapabilities capabilities;
  capabilities.datagram_trains_rx = capabilities.datagram_trains_tx = true;
  capabilities.max_train_segments = kMaxDatagramTrainSegments;
  capabilities.max_train_bytes = kMaxDatagramTrainBytes;
  return capabilities;
}

// The clock stands still but for steps between rounds in which flows end, and sessions do not age:
// they are from a time that no run reaches.
constexpr Duration kSessionsFromNow = Duration::seconds(1'000'000);

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::open(const TrafficShape& shape,
                                                 const PipelineBenchOptions& options) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(shape, options));
  if (nat::Nat* nat = pipeline->nat()) {
    // The mappings are made as a subscriber's packets would make them, beside the worker.
    auto opened = pipeline->traffic_.open_flows(*nat, pipeline->now_);
    if (!opened) return tl::unexpected(opened.error());
  }
  return pipeline;
}

Pipeline::Pipeline(const TrafficShape& shape, const PipelineBenchOptions& options)
    : shape_(shape),
      traffic_(shape),
      inner_(inner_capabilities(shape), options.arrival, options.burst),
      outer_(outer_capabilities(), options.arrival, options.burst),
      frames_({}, options.arrival, options.burst),
      ethernet_(std::array<io::Port*, 1>{&frames_}, outer_, PipelineTraffic::link_options()),
      worker_(std::make_unique<Worker>(WorkerOptions{}, inner_,
                                       is_gateway(shape.path) ? ethernet_.datagrams() : outer_,
                                       link_, rng_)) {
  if (is_gateway(shape.path)) {
    (void)ethernet_.swap_table(PipelineTraffic::forwarding_table(), now_);
    worker_->open_internet_side(ethernet_.packets(), traffic_.nat_config());
  }
  if (shape.path == PipelinePath::kNatOnly) {
    translator_ =
        std::make_unique<WorkerState>(WorkerOptions{}, inner_, outer_, unused_link_, rng_);
    translator_->internet =
        std::make_unique<InternetSide>(frames_, traffic_.nat_config(), rng_, nullptr);
  }
  for (std::uint32_t peer = 0; peer < shape.peers; ++peer) {
    const PeerId id = traffic_.id_of(peer);
    tell(command::AddPeer{std::make_unique<Peer>(id, true)});
    tell(command::PreferPath{id, {traffic_.endpoint(peer), {}, 0}});
    tell(command::InstallSession{
        std::make_unique<tunnel::Session>(traffic_.session_keys(peer, now_ + kSessionsFromNow))});
  }
  tell(command::SetAllowedIps{std::make_unique<const tunnel::AllowedIps>(traffic_.allowed_ips())});
  worker_->run_once(now_);
}

void Pipeline::join(HandoffMesh& mesh) {
  const WorkerId id{static_cast<std::uint8_t>(shape_.worker)};
  mesh.set_doorbell(id, link_.worker_doorbell);
  for (BenchPort* port : {&inner_, &outer_, &frames_})
    mesh.announce_pool(id, port->pool());
  worker_->join(mesh.end(id));
}

void Pipeline::meet(const Pipeline& other) {
  for (std::uint32_t peer = 0; peer < shape_.peers; ++peer)
    tell(command::SetPeerOwner{other.traffic_.id_of(peer),
                               {static_cast<std::uint8_t>(other.shape_.worker)}});
}

// Null where nothing is translated.
nat::Nat* Pipeline::nat() {
  if (translator_ != nullptr) return &translator_->internet->nat;
  return is_gateway(shape_.path) ? &worker_->internet_side()->nat : nullptr;
}

// What is measured.
void Pipeline::turn() {
  switch (shape_.path) {
    case PipelinePath::kNatOnly:
      return translate_burst();
    case PipelinePath::kNull:
      return pass_burst();
    default:
      worker_->run_once(now_);
  }
}

// The stages of a gateway from the Internet's side of the tunnel on.
void Pipeline::translate_burst() {
  Scratch<Slot, kBurstSlots> burst;
  const std::size_t received = frames_.rx_burst({burst.data(), burst.size()});
  end_stage(translator_->stage_clock, Stage::kReceive);
  to_internet(*translator_, {burst.data(), received},
              traffic_.subscribers().subspan(passed_, received), now_);
  passed_ += received;
}

void Pipeline::pass_burst() {
  Scratch<Slot, kBurstSlots> burst;
  const std::size_t received = frames_.rx_burst({burst.data(), burst.size()});
  end_stage(null_clock_, Stage::kReceive);
  frames_.tx_burst({burst.data(), received});
  end_stage(null_clock_, Stage::kTransmit);
}

void Pipeline::begin_round(std::uint64_t sample_interval) {
  traffic_.offer_round(input());
  passed_ = 0;
  output().keep_samples(sample_interval, shape_.packets,
                        shape_.output_header_bytes() + shape_.longest_message());
}

Result<void> Pipeline::end_round() {
  // What the link had taken from the wire ahead of the worker.
  for (int extra = 0; extra < 2 && is_gateway(shape_.path); ++extra)
    turn();
  samples_compared_ += output().sent().samples.size();
  if (auto checked = check(); !checked) return checked;
  return close_new_flows();
}

// Peers whose keepalives became due meanwhile send them now, in nobody's round.
Result<void> Pipeline::close_new_flows() {
  if (nat() == nullptr) return {};
  live_mappings_ = nat()->counters().mappings;
  if (shape_.new_flow_share == 0) return {};
  const auto later = traffic_.close_new_flows(*nat(), now_);
  if (!later) return tl::unexpected(later.error());
  now_ = *later;
  worker_->run_once(now_);
  while (link_.events.try_pop()) {
  }
  return {};
}

void Pipeline::watch_stages(StageClock* clock) {
  worker_->set_stage_clock(clock);
  ethernet_.set_stage_clock(clock);
  input().set_stage_clock(clock);
  if (translator_ != nullptr) translator_->stage_clock = clock;
  null_clock_ = clock;
}

BenchPort& Pipeline::input() {
  if (!is_edge()) return frames_;
  return seals(shape_.path) ? inner_ : outer_;
}

BenchPort& Pipeline::output() {
  if (!is_edge()) return frames_;
  return seals(shape_.path) ? outer_ : inner_;
}

void Pipeline::tell(Command&& command) {
  // NOLINTNEXTLINE(bugprone-use-after-move): not taken when full
  while (!link_.commands.try_push(std::move(command)))
    worker_->run_once(now_);
  while (link_.events.try_pop()) {
  }
}

// No packet of ours may be dropped; where one was, the reasons say more than the count.
Result<void> Pipeline::check() {
  std::string reasons;
  const WorkerCounters& counters =
      translator_ != nullptr ? translator_->counters : worker_->counters();
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const std::uint64_t drops = counters.drops.value(static_cast<DropReason>(i));
    if (drops == 0) continue;
    reasons += " " + std::string(kDropReasonTexts[i].label) + " " + std::to_string(drops);
  }
  if (!reasons.empty()) return failure("wrong result: packets were dropped:" + reasons);
  if (inner_.pool().held() + outer_.pool().held() + frames_.pool().held() != 0)
    return failure("wrong result: buffers were not released");
  return traffic_.check_round(output().sent());
}

}  // namespace ringway::bench
