// What each command of `ringway` does. Returns the exit code: 0 done, 1 it failed (the reason is on
// standard error), 2 it was asked wrongly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/cli/target.hpp"

namespace ringway::control::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kMisused = 2;

struct CommonOptions {
  TargetOptions target;
  bool json = false;
};

struct PeerSetOptions {
  std::string name;
  std::optional<std::string> public_key;
  std::optional<std::string> preshared_key_file;
  bool no_preshared_key = false;
  std::optional<std::string> endpoint;
  std::optional<std::vector<std::string>> allowed_ips;
  std::optional<std::string> persistent_keepalive;  // seconds, or "off"
  std::optional<std::string> type;
  std::optional<std::string> suite;
  std::optional<std::string> up_mbps;  // a number, or "off"
  std::optional<std::string> down_mbps;
};

struct NatOptions {
  std::optional<std::string> subscriber;
  std::optional<std::string> protocol;
};

struct WhoOptions {
  std::string address;
  std::uint16_t port = 0;
  std::optional<std::string> at;
  std::optional<std::string> protocol;
  std::vector<std::string> log_files;
};

int run_up(const std::string& file_or_name, bool cut_ssh_session, bool json);
// As up, after stopping it where it runs; the host stays guarded in between.
int run_restart(const std::string& file_or_name, bool cut_ssh_session, bool json);
int run_down(const CommonOptions& options, const std::string& file_or_name);
int run_status(const CommonOptions& options);
// `what`: an interface, "all", "interfaces", or empty for all.
int run_show(const CommonOptions& options, const std::string& what, const std::string& field);
int run_peers(const CommonOptions& options);
int run_nat(const CommonOptions& options, const NatOptions& nat);
int run_nat_who(const CommonOptions& options, const WhoOptions& who);
int run_peer_set(const CommonOptions& options, const PeerSetOptions& peer);
int run_peer_remove(const CommonOptions& options, const std::string& name);
int run_reload(const CommonOptions& options);
int run_metrics(const CommonOptions& options);
int run_check(const std::string& file_or_name, bool json);
int run_genkey();
int run_genpsk();
int run_pubkey();
int run_version(bool json);

}  // namespace ringway::control::cli
