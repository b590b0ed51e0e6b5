// The structs that cross the local API, as JSON: shared by server and client. Only .cpp files
// include this.
#pragma once

#include "controlplane/json_codec.hpp"
#include "controlplane/local_api.hpp"

namespace ringway::control {

template <typename Visit>
void visit_fields(Visit& visit, PeerEdit& edit) {
  visit("name", edit.name);
  visit("public_key", edit.public_key);
  visit("preshared_key", edit.preshared_key);
  visit("endpoint", edit.endpoint);
  visit("allowed_ips", edit.allowed_ips);
  visit("persistent_keepalive_s", edit.persistent_keepalive_s);
  visit("type", edit.type);
  visit("suite", edit.suite);
}

template <typename Visit>
void visit_fields(Visit& visit, ReloadReport& report) {
  visit("added", report.added);
  visit("changed", report.changed);
  visit("removed", report.removed);
  visit("needs_restart", report.needs_restart);
}

}  // namespace ringway::control
