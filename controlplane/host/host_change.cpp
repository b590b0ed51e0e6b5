#include "controlplane/host/host_change.hpp"

#include <nlohmann/json.hpp>

#include "controlplane/host/nftables.hpp"
#include "controlplane/host/sysctl.hpp"

namespace ringway::control {
namespace {

using Json = nlohmann::json;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

template <typename T>
T unwrap(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(*result);
}

Json route_json(const Route& route) {
  return {{"destination", route.destination.to_string()},
          {"table", route.table},
          {"kind", static_cast<unsigned>(route.kind)},
          {"interface", route.interface_index},
          {"metric", route.metric}};
}

Route route_from(const Json& json) {
  Route route;
  route.destination = unwrap(net::Prefix::parse(json.at("destination").get<std::string>()));
  route.table = json.at("table").get<std::uint32_t>();
  route.kind = static_cast<RouteKind>(json.at("kind").get<std::uint8_t>());
  route.interface_index = json.at("interface").get<int>();
  route.metric = json.at("metric").get<std::uint32_t>();
  return route;
}

Json rule_json(const Rule& rule) {
  Json json = {{"family", static_cast<unsigned>(rule.family)},
               {"priority", rule.priority},
               {"table", rule.table},
               {"mark", rule.mark},
               {"invert", rule.invert},
               {"in_interface", rule.in_interface},
               {"protocol", rule.protocol},
               {"source_port", rule.source_port},
               {"destination_port", rule.destination_port}};
  if (rule.suppress_prefix_length) json["suppress_prefix_length"] = *rule.suppress_prefix_length;
  return json;
}

Rule rule_from(const Json& json) {
  Rule rule;
  rule.family = static_cast<net::Family>(json.at("family").get<std::uint8_t>());
  rule.priority = json.at("priority").get<std::uint32_t>();
  rule.table = json.at("table").get<std::uint32_t>();
  rule.mark = json.at("mark").get<std::uint32_t>();
  rule.invert = json.at("invert").get<bool>();
  rule.in_interface = json.at("in_interface").get<std::string>();
  rule.protocol = json.at("protocol").get<std::uint8_t>();
  rule.source_port = json.at("source_port").get<std::uint16_t>();
  rule.destination_port = json.at("destination_port").get<std::uint16_t>();
  if (json.contains("suppress_prefix_length")) {
    rule.suppress_prefix_length = json["suppress_prefix_length"].get<std::uint32_t>();
  }
  return rule;
}

Json to_json(const HostChange& change) {
  return std::visit(
      Overloaded{
          [](const LinkMtu& c) {
            return Json{{"change", "mtu"},
                        {"interface", c.interface_index},
                        {"value", c.mtu},
                        {"before", c.before}};
          },
          [](const LinkUp& c) {
            return Json{{"change", "up"}, {"interface", c.interface_index}, {"before", c.before}};
          },
          [](const LinkAddressGeneration& c) {
            return Json{{"change", "address_generation"},
                        {"interface", c.interface_index},
                        {"value", c.mode},
                        {"before", c.before}};
          },
          [](const AddAddress& c) {
            return Json{{"change", "address"},
                        {"interface", c.interface_index},
                        {"address", c.address.to_string()}};
          },
          [](const AddRoute& c) {
            return Json{{"change", "route"}, {"route", route_json(c.route)}};
          },
          [](const AddRule& c) {
            return Json{{"change", "rule"}, {"rule", rule_json(c.rule)}};
          },
          [](const AddTable& c) {
            return Json{{"change", "table"}, {"table", c.table}};
          },
          [](const SetSysctl& c) {
            Json json = {{"change", "sysctl"}, {"name", c.name}, {"before", c.before}};
            if (c.value) json["value"] = *c.value;
            return json;
          },
      },
      change);
}

// Throws on anything unexpected; change_from_json turns that into an Error.
HostChange from_json(const Json& json) {
  const auto kind = json.at("change").get<std::string>();
  const auto interface = [&] { return json.at("interface").get<int>(); };
  if (kind == "mtu") {
    return LinkMtu{interface(), json.at("value").get<std::uint32_t>(),
                   json.at("before").get<std::uint32_t>()};
  }
  if (kind == "up") return LinkUp{interface(), json.at("before").get<bool>()};
  if (kind == "address_generation") {
    return LinkAddressGeneration{interface(), json.at("value").get<std::uint8_t>(),
                                 json.at("before").get<std::uint8_t>()};
  }
  if (kind == "address") {
    return AddAddress{interface(),
                      unwrap(LocalAddress::parse(json.at("address").get<std::string>()))};
  }
  if (kind == "route") return AddRoute{route_from(json.at("route"))};
  if (kind == "rule") return AddRule{rule_from(json.at("rule"))};
  if (kind == "table") return AddTable{json.at("table").get<std::string>(), {}};
  if (kind == "sysctl") {
    SetSysctl set{json.at("name").get<std::string>(), std::nullopt,
                  json.at("before").get<std::string>()};
    if (json.contains("value")) set.value = json["value"].get<std::string>();
    return set;
  }
  throw std::runtime_error("unknown change '" + kind + "'");
}

Result<void> set_table(const AddTable& change, bool adopting) {
  const std::string purpose = "the nftables table " + change.table;
  if (adopting) {
    return nftables::apply(
        "add table " + change.table + "\ndelete table " + change.table + "\n" + change.text,
        purpose);
  }
  const auto exists = nftables::table_exists(change.table);
  if (!exists) return tl::unexpected(exists.error());
  if (*exists) {
    return failure(purpose + " exists already",
                   "another program set it; if it is a leftover: nft delete table " + change.table);
  }
  return nftables::apply(change.text, purpose);
}

bool device_exists(Netlink& netlink, int interface_index) {
  const auto links = netlink.links();
  if (!links) return true;  // let the operation itself report the trouble
  for (const Link& link : *links) {
    if (link.index == interface_index) return true;
  }
  return false;
}

}  // namespace

std::string change_key(const HostChange& change) {
  Json json = to_json(change);
  json.erase("before");
  json.erase("value");
  return json.dump();
}

bool is_no_op(const HostChange& change) {
  return std::visit(Overloaded{
                        [](const LinkMtu& c) { return c.mtu == c.before; },
                        [](const LinkUp& c) { return c.before; },
                        [](const LinkAddressGeneration& c) { return c.mode == c.before; },
                        [](const SetSysctl& c) { return c.value == c.before; },
                        [](const auto&) { return false; },
                    },
                    change);
}

Result<void> perform(Netlink& netlink, const HostChange& change, bool adopting) {
  const IfExists if_exists = adopting ? IfExists::kKeep : IfExists::kFail;
  return std::visit(Overloaded{
                        [&](const LinkMtu& c) { return netlink.set_mtu(c.interface_index, c.mtu); },
                        [&](const LinkUp& c) { return netlink.set_up(c.interface_index, true); },
                        [&](const LinkAddressGeneration& c) {
                          return netlink.set_address_generation(c.interface_index, c.mode);
                        },
                        [&](const AddAddress& c) {
                          return netlink.add_address(c.interface_index, c.address, if_exists);
                        },
                        [&](const AddRoute& c) { return netlink.add_route(c.route, if_exists); },
                        [&](const AddRule& c) { return netlink.add_rule(c.rule, if_exists); },
                        [&](const AddTable& c) { return set_table(c, adopting); },
                        [&](const SetSysctl& c) {
                          return c.value ? sysctl::write(c.name, *c.value) : Result<void>();
                        },
                    },
                    change);
}

Result<void> undo(Netlink& netlink, const HostChange& change) {
  return std::visit(
      Overloaded{
          [&](const LinkMtu& c) {
            return device_exists(netlink, c.interface_index)
                       ? netlink.set_mtu(c.interface_index, c.before)
                       : Result<void>();
          },
          [&](const LinkUp& c) {
            return device_exists(netlink, c.interface_index)
                       ? netlink.set_up(c.interface_index, c.before)
                       : Result<void>();
          },
          [&](const LinkAddressGeneration& c) {
            return device_exists(netlink, c.interface_index)
                       ? netlink.set_address_generation(c.interface_index, c.before)
                       : Result<void>();
          },
          [&](const AddAddress& c) { return netlink.remove_address(c.interface_index, c.address); },
          [&](const AddRoute& c) { return netlink.remove_route(c.route); },
          [&](const AddRule& c) { return netlink.remove_rule(c.rule); },
          [&](const AddTable& c) { return nftables::remove_table(c.table); },
          [&](const SetSysctl& c) {
            return sysctl::exists(c.name) ? sysctl::write(c.name, c.before) : Result<void>();
          },
      },
      change);
}

std::string change_to_json(const HostChange& change) {
  return to_json(change).dump();
}

Result<HostChange> change_from_json(const std::string& text) {
  try {
    return from_json(Json::parse(text));
  } catch (const std::exception& error) {
    return failure("'" + text + "' is not a change of the host: " + error.what());
  }
}

}  // namespace ringway::control
