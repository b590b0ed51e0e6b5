#include "overlay/sim/latency_choice.hpp"

#include <cstdlib>

namespace ringway::overlay::sim {
namespace {

constexpr double kUsualMs = 50;

}  // namespace

Result<std::unique_ptr<LatencyModel>> choose_latency(const std::string& name, std::uint64_t seed,
                                                     const std::string& data_folder) {
  const std::size_t colon = name.find(':');
  const std::string kind = name.substr(0, colon);
  if (kind == "planetlab")
    return load_planetlab_latency(seed, data_folder + "/planetlab-490-rtt-ms.txt.gz");
  const double ms = colon == std::string::npos ? kUsualMs : std::atof(name.c_str() + colon + 1);
  if (!(ms > 0 && ms < 60'000)) {
    return failure("latency " + name + ": not between 0 and 60,000 ms");
  }
  const auto duration = Duration::microseconds(static_cast<std::int64_t>(ms * 1000));
  if (kind == "fixed") return make_fixed_latency(duration);
  if (kind == "geometric") return make_geometric_latency(seed, duration);
  return failure("latency " + name + ": unknown kind", "give planetlab, geometric:MS or fixed:MS");
}

}  // namespace ringway::overlay::sim
