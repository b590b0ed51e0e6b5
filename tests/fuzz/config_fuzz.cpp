// The configuration file from anybody: any bytes are a Config or a bounded list of problems.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "controlplane/config.hpp"
#include "controlplane/keys.hpp"

namespace {

using namespace ringway;
using namespace ringway::control;

ConfigHost fuzz_host() {
  ConfigHost host;
  host.read_private_key = [](const std::string&) {
    return parse_private_key("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=");
  };
  host.read_preshared_key = [](const std::string&) -> Result<tunnel::PresharedKey> {
    return failure("no such file");
  };
  host.interface_exists = [](const std::string&) { return true; };
  host.group_exists = [](const std::string&) { return true; };
  host.cpu_count = 4;
  host.file_is_private = true;
  return host;
}

void check_good(const Config& config) {
  CHECK(is_interface_name(config.interface.name));
  CHECK(config.interface.mtu >= kMinMtu && config.interface.mtu <= kMaxMtu);
  for (const PeerConfig& peer : config.peers) {
    CHECK(is_peer_name(peer.name));
    CHECK(!peer_contradiction(peer));
    CHECK(peer.public_key != config.interface.public_key);
    CHECK(!peer.endpoint || PeerEndpoint::parse(peer.endpoint->to_string()) == *peer.endpoint);
  }
  CHECK(diff_config(config, config).empty());
}

void check_bad(const ConfigProblems& problems) {
  CHECK(!problems.list.empty() && problems.list.size() <= kMaxReportedProblems);
  CHECK(problems.omitted == 0 || problems.list.size() == kMaxReportedProblems);
  for (const ConfigProblem& problem : problems.list) {
    CHECK(!problem.message.empty() && problem.message.find('\n') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ConfigHost host = fuzz_host();
  const auto config =
      parse_config({reinterpret_cast<const char*>(data), size}, "/etc/ringway/x.toml", host);
  if (config) {
    check_good(*config);
  } else {
    check_bad(config.error());
  }
  return 0;
}
