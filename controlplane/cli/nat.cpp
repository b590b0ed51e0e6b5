#include "controlplane/cli/nat.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <set>
#include <tuple>

#include <nlohmann/json.hpp>

#include "controlplane/keys.hpp"

namespace ringway::control::cli {
namespace {

std::string expiry_text(const MappingStatus& mapping) {
  return mapping.expires_s ? short_duration(*mapping.expires_s) : "never";
}

Result<void> read_log(const std::string& path, PortHistory& history) {
  std::ifstream file(path);
  if (!file) {
    return system_failure("reading the NAT's log " + path, errno, "run as root: sudo ringway ...");
  }
  for (std::string text; std::getline(file, text);) {
    if (const auto line = parse_nat_log_line(text)) history.add(*line);
  }
  if (file.bad()) return system_failure("reading the NAT's log " + path, errno);
  return {};
}

PortHolder* find_holder(std::vector<PortHolder>& holders, const MappingStatus& mapping) {
  const auto found = std::ranges::find_if(holders, [&](const PortHolder& holder) {
    return holder.protocol == mapping.protocol && holder.subscriber == mapping.subscriber;
  });
  return found == holders.end() ? nullptr : &*found;
}

void add_live(std::vector<PortHolder>& holders, const MappingStatus& mapping) {
  if (PortHolder* holder = find_holder(holders, mapping)) {
    holder->inner = mapping.inner;
    return;
  }
  holders.push_back({mapping.protocol, mapping.subscriber, {}, mapping.inner, {}, {}});
}

void add_caveats(WhoAnswer& answer, const WhoQuestion& question, const PortHistory& history,
                 WallTime at) {
  const auto begins = history.begins();
  if (!begins || at < *begins) {
    answer.caveats.push_back(begins ? "the log begins at " + utc_text(*begins) + " only"
                                    : "the log is empty");
    return;
  }
  const auto complete_from = history.complete_from();
  const bool certain = question.protocol != 0 && !answer.holders.empty();
  if (!certain && (!complete_from || at < *complete_from)) {
    answer.caveats.push_back("who was given a port before " + utc_text(*begins) +
                             " and kept it is not in this log: an older one may know");
  }
  WallTime since = *begins;
  for (const PortHolder& holder : answer.holders)
    since = std::max(since, holder.from.value_or(since));
  if (history.lost_between(since, at)) {
    answer.caveats.emplace_back("events before that time are missing in the log");
  }
}

std::string question_text(const WhoQuestion& question) {
  return net::Endpoint{question.address, question.port}.to_string() +
         (question.protocol == 0 ? "" : "/" + protocol_text(question.protocol)) +
         (question.at ? " at " + utc_text(*question.at) : " now");
}

std::string time_text(const std::optional<WallTime>& time, const char* otherwise) {
  return time ? utc_text(*time) : otherwise;
}

Json optional_time(const std::optional<WallTime>& time) {
  return time ? Json(utc_text(*time)) : Json(nullptr);
}

}  // namespace

std::string short_duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::max(0.0, std::floor(seconds)));
  const auto both = [](std::uint64_t large, const char* unit, std::uint64_t small,
                       const char* small_unit) {
    return std::to_string(large) + unit +
           (small == 0 ? "" : " " + std::to_string(small) + small_unit);
  };
  if (whole < 60) return std::to_string(whole) + "s";
  if (whole < 3600) return both(whole / 60, "m", whole % 60, "s");
  return both(whole / 3600, "h", whole % 3600 / 60, "m");
}

std::string render_mappings(std::vector<MappingStatus> mappings, const Palette& palette) {
  if (mappings.empty()) return "no mappings\n";
  std::ranges::sort(mappings, {}, [](const MappingStatus& mapping) {
    return std::tie(mapping.subscriber, mapping.protocol, mapping.inner, mapping.external);
  });
  std::vector<std::vector<std::string>> rows = {
      {"SUBSCRIBER", "PROTOCOL", "INNER", "EXTERNAL", "IDLE", "EXPIRES IN"}};
  std::set<std::string_view> subscribers;
  for (const MappingStatus& mapping : mappings) {
    subscribers.insert(mapping.subscriber);
    rows.push_back({mapping.subscriber, mapping.protocol, mapping.inner.to_string(),
                    mapping.external.to_string(), short_duration(mapping.idle_s),
                    expiry_text(mapping)});
  }
  const auto count = [](std::size_t number, const char* what) {
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
  };
  return render_table(rows, palette) + count(mappings.size(), "mapping") + " of " +
         count(subscribers.size(), "subscriber") + "\n";
}

Result<WhoAnswer> who_had(const WhoQuestion& question, const std::vector<std::string>& log_files,
                          const std::vector<MappingStatus>& live) {
  PortHistory history(question.address, question.port, question.protocol);
  for (const std::string& path : log_files) {
    if (auto read = read_log(path, history); !read) return tl::unexpected(read.error());
  }
  WhoAnswer answer;
  const WallTime at = question.at.value_or(WallTime::now());
  for (const PortTenancy& tenancy : history.at(at)) {
    answer.holders.push_back({protocol_text(tenancy.protocol),
                              tenancy.subscriber,
                              key_to_text(tenancy.key),
                              {},
                              tenancy.from,
                              tenancy.until});
  }
  if (!log_files.empty()) add_caveats(answer, question, history, at);
  for (const MappingStatus& mapping : live)
    add_live(answer.holders, mapping);
  return answer;
}

std::string render_who(const WhoQuestion& question, const WhoAnswer& answer,
                       const Palette& palette) {
  std::string text;
  if (answer.holders.empty()) {
    text = "nobody " + std::string(question.at ? "had " : "has ") + question_text(question) + "\n";
  } else {
    text = palette.bold(question_text(question)) + "\n";
    std::vector<std::vector<std::string>> rows = {
        {"PROTOCOL", "SUBSCRIBER", "PUBLIC KEY", "INNER", "FROM", "UNTIL"}};
    for (const PortHolder& holder : answer.holders) {
      rows.push_back({holder.protocol, holder.subscriber,
                      holder.public_key.empty() ? "(see: ringway peers)" : holder.public_key,
                      holder.inner ? holder.inner->to_string() : "(not kept)",
                      time_text(holder.from, "(no log)"), time_text(holder.until, "now")});
    }
    text += render_table(rows, palette);
  }
  for (const std::string& caveat : answer.caveats)
    text += "note: " + caveat + "\n";
  return text;
}

Json who_to_json(const WhoQuestion& question, const WhoAnswer& answer) {
  Json json = Json::object();
  json["address"] = question.address.to_string();
  json["port"] = question.port;
  json["at"] = optional_time(question.at);
  json["holders"] = Json::array();
  for (const PortHolder& holder : answer.holders) {
    Json entry = Json::object();
    entry["protocol"] = holder.protocol;
    entry["subscriber"] = holder.subscriber;
    entry["public_key"] = holder.public_key.empty() ? Json(nullptr) : Json(holder.public_key);
    entry["inner"] = holder.inner ? Json(holder.inner->to_string()) : Json(nullptr);
    entry["from"] = optional_time(holder.from);
    entry["until"] = optional_time(holder.until);
    json["holders"].push_back(std::move(entry));
  }
  json["notes"] = answer.caveats;
  return json;
}

}  // namespace ringway::control::cli
