#include "bench/forward_bench.hpp"

#include <csignal>
#include <cstdio>
#include <string>

#include <sys/signalfd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/result.hpp"
#include "bench/measure.hpp"

namespace ringway::bench {
namespace {

using Json = nlohmann::ordered_json;

// SIGINT and SIGTERM as a descriptor; they end nothing by themselves any more.
class StopRequest {
 public:
  StopRequest() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~StopRequest() { ::close(fd_); }
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

constexpr const char* kSides[] = {"inside", "outside"};

Json interface_json(const Forwarder& forwarder, std::size_t number) {
  const control::XdpInterfaces& interfaces = forwarder.interfaces();
  const io::XskPort& port = *interfaces.ports()[number];
  const io::PortCounters& counters = port.counters();
  Json steering = Json::object();
  for (const control::SteeringCounter& counter : interfaces.steering_counters(number))
    steering[std::string(counter.label)] = counter.packets;
  Json losses = Json::object();
  for (const control::RingLoss& loss : interfaces.ring_losses(number))
    losses[std::string(loss.label)] = loss.count;
  return {{"side", kSides[number]},
          {"name", interfaces.name(number)},
          {"description", port.describe()},
          {"rx_packets", counters.rx_packets.value()},
          {"rx_bytes", counters.rx_bytes.value()},
          {"rx_bursts", counters.rx_bursts.value()},
          {"tx_packets", counters.tx_packets.value()},
          {"tx_bytes", counters.tx_bytes.value()},
          {"tx_bursts", counters.tx_bursts.value()},
          {"tx_dropped", counters.tx_dropped.value()},
          {"steering", std::move(steering)},
          {"ring_losses", std::move(losses)}};
}

Json report(const Forwarder& forwarder, double seconds) {
  const Forwarder::Counters& counters = forwarder.counters();
  Json drops = Json::object();
  for (std::size_t i = 0; i < kDropReasonCount; ++i)
    drops[std::string(kDropReasonTexts[i].label)] = forwarder.dropped(static_cast<DropReason>(i));
  return {{"seconds", seconds},
          {"xdp_mode", forwarder.interfaces().mode()},
          {"xdp_reason", forwarder.interfaces().reason()},
          {"turns", counters.turns},
          {"idle_turns", counters.idle_turns},
          {"sleeps", counters.sleeps},
          {"outbound_packets", counters.outbound_packets},
          {"inbound_packets", counters.inbound_packets},
          {"mappings", forwarder.mappings()},
          {"drops", std::move(drops)},
          {"interfaces",
           {interface_json(forwarder, Forwarder::kInside),
            interface_json(forwarder, Forwarder::kOutside)}}};
}

// What is not zero: "transit 12, other_service 3".
std::string counts_text(const Json& counts) {
  std::string text;
  for (const auto& [label, count] : counts.items()) {
    if (count != 0) text += (text.empty() ? "" : ", ") + label + " " + count.dump();
  }
  return text.empty() ? "none" : text;
}

void print_table(const Json& report) {
  const double seconds = report["seconds"];
  const auto print_way = [&](const char* title, const char* key) {
    const auto packets = report[key].get<double>();
    std::printf("  %-9s %12.0f packets  %10.0f /s\n", title, packets, packets / seconds);
  };
  std::printf("forwarded for %.1f s, %s mode\n", seconds,
              report["xdp_mode"].get_ref<const std::string&>().c_str());
  print_way("outbound", "outbound_packets");
  print_way("inbound", "inbound_packets");
  std::printf("  mappings: %s\n", report["mappings"].dump().c_str());
  std::printf("  dropped: %s\n", counts_text(report["drops"]).c_str());
  for (const Json& interface : report["interfaces"]) {
    std::printf("%s, %s\n", interface["side"].get_ref<const std::string&>().c_str(),
                interface["description"].get_ref<const std::string&>().c_str());
    std::printf("  received %s, sent %s, refused by the device %s\n",
                interface["rx_packets"].dump().c_str(), interface["tx_packets"].dump().c_str(),
                interface["tx_dropped"].dump().c_str());
    std::printf("  steering: %s\n", counts_text(interface["steering"]).c_str());
    std::printf("  ring losses: %s\n", counts_text(interface["ring_losses"]).c_str());
  }
}

int fail(const Error& error) {
  std::fprintf(stderr, "ringway-bench: %s\n", error.text().c_str());
  return 1;
}

}  // namespace

int run_forward_bench(const ForwardBenchOptions& options) {
  if (options.core) {
    if (const auto pinned = pin_to_core(*options.core); !pinned) return fail(pinned.error());
  }
  const StopRequest stop;
  auto forwarder = Forwarder::open(options.forwarder, [](std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  });
  if (!forwarder) return fail(forwarder.error());
  for (const auto& port : (*forwarder)->interfaces().ports())
    std::fprintf(stderr, "%s\n", port->describe().c_str());
  const Instant start = Instant::now();
  const Instant end =
      options.seconds == 0
          ? Instant::never()
          : start + Duration::nanoseconds(static_cast<std::int64_t>(options.seconds * 1e9));
  if (const auto done = (*forwarder)->run(stop.fd(), end); !done) return fail(done.error());
  const Json result = report(**forwarder, (Instant::now() - start).count_s());
  if (options.json) {
    std::printf("%s\n", result.dump(2).c_str());
  } else {
    print_table(result);
  }
  return 0;
}

}  // namespace ringway::bench
