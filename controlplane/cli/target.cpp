#include "controlplane/cli/target.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "controlplane/local_api.hpp"

namespace ringway::control::cli {
namespace {

constexpr const char* kRunDirectory = "/run/ringway";
constexpr const char* kConfigDirectory = "/etc/ringway/";
constexpr const char* kDefaultInterface = "ringway0";

// As far as the name says it.
Target target_named(const std::string& interface, const std::string& socket) {
  return {interface, socket, default_state_directory(interface)};
}

bool is_file(const std::string& text) {
  return text.find('/') != std::string::npos || text.ends_with(".toml");
}

}  // namespace

std::vector<Target> running_nodes() {
  std::vector<Target> nodes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kRunDirectory, error)) {
    const auto& path = entry.path();
    std::error_code ignored;
    if (path.extension() != ".sock" || !entry.is_socket(ignored)) continue;
    if (is_api_alive(path.string()))
      nodes.push_back(target_named(path.stem().string(), path.string()));
  }
  std::ranges::sort(nodes, {}, &Target::interface);
  return nodes;
}

Result<Target> find_target(const TargetOptions& options) {
  if (!options.socket.empty()) {
    const std::string stem = std::filesystem::path(options.socket).stem().string();
    return target_named(options.interface.empty() ? stem : options.interface, options.socket);
  }
  if (!options.interface.empty()) {
    if (!is_interface_name(options.interface)) {
      return failure("'" + options.interface + "' is not the name of an interface");
    }
    return target_named(options.interface, default_api_socket(options.interface));
  }
  const std::vector<Target> nodes = running_nodes();
  if (nodes.size() == 1) return nodes.front();
  if (nodes.empty()) return target_named(kDefaultInterface, default_api_socket(kDefaultInterface));
  std::string names;
  for (const Target& node : nodes)
    names += (names.empty() ? "" : ", ") + node.interface;
  return failure("several nodes are running: " + names, "choose one with --interface NAME");
}

std::string config_path(const std::string& file_or_name) {
  if (file_or_name.empty()) return std::string(kConfigDirectory) + kDefaultInterface + ".toml";
  return is_file(file_or_name) ? file_or_name : kConfigDirectory + file_or_name + ".toml";
}

Result<Target> find_target(const TargetOptions& options, const std::string& file_or_name) {
  if (file_or_name.empty()) return find_target(options);
  const std::string path = config_path(file_or_name);
  std::error_code error;
  if (!is_file(file_or_name) && !std::filesystem::exists(path, error)) {
    return find_target({file_or_name, options.socket});
  }
  const auto config = load_config(path);
  if (!config) return tl::unexpected(config.error());
  return Target{config->interface.name, config->api.socket, config->state.directory};
}

}  // namespace ringway::control::cli
