// A host whose routes are mirrored: HostLab's namespace, with its wire `e0` carried as port 3, and
// the mirror driven as the control thread drives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/host/route_mirror.hpp"
#include "tests/unit/host_lab.hpp"

namespace ringway::control {

class RouteLab : public HostLab {
 protected:
  static constexpr std::uint8_t kPort = 3;
  // A change takes effect within a second; instrumented code is several times slower.
#ifdef RINGWAY_INSTRUMENTED
  static constexpr Duration kPatience = Duration::seconds(10);
#else
  static constexpr Duration kPatience = Duration::seconds(1);
#endif

  void SetUp() override;
  void TearDown() override;

  // Serves the mirror until `holds` of the newest table, for at most kPatience.
  [[nodiscard]] bool eventually(const std::function<bool()>& holds);
  // Serves it until nothing has come for a while.
  void settle();

  [[nodiscard]] const forwarding::NextHop& hop_to(const std::string& destination) const;
  [[nodiscard]] forwarding::NextHopState state_of(const std::string& destination) const {
    return hop_to(destination).state;
  }
  // "192.0.2.1", or "" where nobody has to be resolved.
  [[nodiscard]] std::string neighbour_of(const std::string& destination) const;
  // What the kernel would do (RTM_GETROUTE), in words that describe() has too: "local",
  // "blackhole", "unreachable", "interface 4 neighbour 192.0.2.1".
  [[nodiscard]] static std::string ask_kernel(const net::IpAddress& destination);
  [[nodiscard]] std::string describe(const net::IpAddress& destination) const;

  [[nodiscard]] static std::uint32_t index_of(const std::string& interface);

  std::unique_ptr<RouteMirror> mirror_;
  std::shared_ptr<const forwarding::ForwardingTable> table_;
  std::vector<std::string> notices_;
  std::uint64_t tables_taken_ = 0;

 private:
  void serve_once(int timeout_ms);
};

}  // namespace ringway::control
