// What each request of the local API means: JSON in, calls of NodeControl, JSON out.
#include <array>

#include <nlohmann/json.hpp>

#include "controlplane/json_codec.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/local_api_fields.hpp"
#include "controlplane/logging.hpp"
#include "controlplane/metrics.hpp"
#include "controlplane/version.hpp"

namespace ringway::control {
namespace {

Json success(Json result) {
  Json response = Json::object();
  response["v"] = kApiVersion;
  response["ok"] = true;
  response["result"] = std::move(result);
  return response;
}

Json refusal(const Error& error) {
  Json response = Json::object();
  response["v"] = kApiVersion;
  response["ok"] = false;
  response["error"] = Json::object();
  response["error"]["message"] = error.message;
  response["error"]["remedy"] = error.remedy;
  return response;
}

Json outcome(const Result<void>& result) {
  return result ? success(Json::object()) : refusal(result.error());
}

struct Request {
  NodeControl& node;
  const Json& json;
  const ApiCaller& caller;
  std::optional<StopKind>& stop;
};

void log_change(const Request& request, const std::string& what) {
  log_info(what + ", asked for by uid " + std::to_string(request.caller.uid) + ", pid " +
           std::to_string(request.caller.pid));
}

Json handle_version(const Request&) {
  Json result = Json::object();
  result["version"] = kVersion;
  result["api"] = kApiVersion;
  return success(std::move(result));
}

Json handle_status(const Request& request) {
  return success(status_to_json(request.node.status()));
}

Json handle_metrics(const Request& request) {
  return success(metrics_text(request.node.status()));
}

Json handle_mappings(const Request& request) {
  const auto query = json_codec::decode_or_error<MappingQuery>(request.json, "request");
  if (!query) return refusal(query.error());
  const auto list = request.node.mappings(*query);
  return list ? success(json_codec::encode(*list)) : refusal(list.error());
}

Json handle_reload(const Request& request) {
  log_change(request, "reloading the configuration");
  const auto report = request.node.reload();
  return report ? success(json_codec::encode(*report)) : refusal(report.error());
}

Json set_peer(const Request& request, bool is_new) {
  const auto edit = json_codec::decode_or_error<PeerEdit>(request.json, "request");
  if (!edit) return refusal(edit.error());
  const bool known = request.node.config().find_peer(edit->name) != nullptr;
  if (known && is_new) return refusal({"there is a peer '" + edit->name + "' already", ""});
  if (!known && !is_new) return refusal({"there is no peer '" + edit->name + "'", ""});
  const auto peer = apply_peer_edit(request.node.config(), *edit);
  if (!peer) return refusal(peer.error());
  log_change(request, (is_new ? "adding peer " : "changing peer ") + peer->name);
  return outcome(request.node.set_peer(*peer));
}
Json handle_add_peer(const Request& request) {
  return set_peer(request, true);
}
Json handle_change_peer(const Request& request) {
  return set_peer(request, false);
}

Json handle_remove_peer(const Request& request) {
  const auto edit = json_codec::decode_or_error<PeerEdit>(request.json, "request");
  if (!edit) return refusal(edit.error());
  if (request.node.config().find_peer(edit->name) == nullptr) {
    return refusal({"there is no peer '" + edit->name + "'", ""});
  }
  log_change(request, "removing peer " + edit->name);
  return outcome(request.node.remove_peer(edit->name));
}

Json handle_stop(const Request& request) {
  const auto wanted = json_codec::decode_or_error<StopRequest>(request.json, "request");
  if (!wanted) return refusal(wanted.error());
  log_change(request, wanted->for_restart ? "stopping for a restart" : "stopping");
  request.stop = wanted->for_restart ? StopKind::kForRestart : StopKind::kTakeBack;
  return success(Json::object());
}

struct Operation {
  std::string_view name;
  Json (*handle)(const Request&);
};
constexpr std::array kOperations = {
    Operation{"version", handle_version},
    Operation{"status", handle_status},
    Operation{"metrics", handle_metrics},
    Operation{"mappings", handle_mappings},
    Operation{"reload", handle_reload},
    Operation{"add_peer", handle_add_peer},
    Operation{"change_peer", handle_change_peer},
    Operation{"remove_peer", handle_remove_peer},
    Operation{"stop", handle_stop},
};

Json respond(NodeControl& node, const Json& json, const ApiCaller& caller,
             std::optional<StopKind>& stop) {
  if (!json.is_object()) return refusal({"a request is one JSON object on one line", ""});
  const auto version = json.find("v");
  if (version == json.end() || *version != kApiVersion) {
    return refusal({"this node speaks version " + std::to_string(kApiVersion) + " of the local API",
                    "use the `ringway` of the same release"});
  }
  const auto op = json.find("op");
  if (op != json.end() && op->is_string()) {
    for (const Operation& operation : kOperations) {
      if (*op == operation.name) return operation.handle({node, json, caller, stop});
    }
  }
  return refusal({"unknown operation", "use the `ringway` of the same release"});
}

}  // namespace

ApiResponse refuse_long_request() {
  return {json_codec::dump(refusal(
              {"a request has at most " + std::to_string(kMaxApiRequestBytes) + " bytes", ""})),
          std::nullopt};
}

ApiResponse handle_api_request(NodeControl& node, std::string_view request,
                               const ApiCaller& caller) {
  const Json json = Json::parse(request, nullptr, /*allow_exceptions=*/false);
  ApiResponse response;
  response.line = json_codec::dump(respond(node, json, caller, response.stop));
  return response;
}

}  // namespace ringway::control
