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
  visit("up_mbps", edit.up_mbps);
  visit("down_mbps", edit.down_mbps);
}

template <typename Visit>
void visit_fields(Visit& visit, MappingQuery& query) {
  visit("cursor", query.cursor);
  visit("subscriber", query.subscriber);
  visit("protocol", query.protocol);
  visit("external", query.external);
}

template <typename Visit>
void visit_fields(Visit& visit, StopRequest& request) {
  visit("for_restart", request.for_restart);
}

template <typename Visit>
void visit_fields(Visit& visit, MappingStatus& mapping) {
  visit("subscriber", mapping.subscriber);
  visit("protocol", mapping.protocol);
  visit("inner", mapping.inner);
  visit("external", mapping.external);
  visit("idle_s", mapping.idle_s);
  visit("expires_s", mapping.expires_s);
}

template <typename Visit>
void visit_fields(Visit& visit, MappingList& list) {
  visit("mappings", list.mappings);
  visit("next", list.next);
}

template <typename Visit>
void visit_fields(Visit& visit, ReloadReport& report) {
  visit("added", report.added);
  visit("changed", report.changed);
  visit("removed", report.removed);
  visit("needs_restart", report.needs_restart);
}

}  // namespace ringway::control
