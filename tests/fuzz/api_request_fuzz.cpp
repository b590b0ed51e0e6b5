// Requests to the local API from anybody who may open its socket: any line gets one line of JSON
// back, and no peer that breaks the rules ever reaches the node.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "controlplane/keys.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/logging.hpp"

namespace {

using namespace ringway;
using namespace ringway::control;

class FuzzNode final : public NodeControl {
 public:
  FuzzNode() {
    config_.interface.public_key =
        *parse_public_key("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
    PeerConfig peer;
    peer.name = "a";
    peer.public_key = *parse_public_key("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
    peer.allowed_ips = {*net::Prefix::parse("10.1.0.0/16")};
    config_.peers = {peer};
  }
  NodeStatus status() override { return status_from_config(config_); }
  const Config& config() const override { return config_; }
  Result<MappingList> mappings(const MappingQuery&) override { return MappingList{}; }
  Result<ReloadReport> reload() override { return ReloadReport{}; }
  Result<void> set_peer(const PeerConfig& peer) override {
    CHECK(is_peer_name(peer.name));
    CHECK(!peer_contradiction(peer));
    CHECK(!is_low_order(peer.public_key));
    CHECK(peer.public_key != config_.interface.public_key);
    return {};
  }
  Result<void> remove_peer(const std::string& name) override {
    CHECK(config_.find_peer(name) != nullptr);
    return {};
  }
  void request_stop(StopKind /*kind*/) override {}

 private:
  Config config_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzNode node;
  static const bool quiet = [] {
    set_log_level(LogLevel::kError);
    return true;
  }();
  static_cast<void>(quiet);
  const std::string response =
      handle_api_request(node, {reinterpret_cast<const char*>(data), size}, {}).line;
  CHECK(response.starts_with("{\"v\":1,\"ok\":") && response.ends_with("}"));
  CHECK(response.find('\n') == std::string::npos);
  return 0;
}
