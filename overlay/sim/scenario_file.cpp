#include "overlay/sim/scenario_file.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>

#include "base/toml_values.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr double kLongestS = 1e7;  // some four months
constexpr std::int64_t kMostNodes = 100'000;
constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kMostNumber = 63;  // of a node's values
constexpr double kShortestTtlS = 10;
const double kLongestTtlS = dht::kLongestTtl.count_s();

bool has_ttl(IncidentKind kind) {
  return kind == IncidentKind::kPut || kind == IncidentKind::kLease;
}

std::string names_of(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names)
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

// A table of the file. Each key that is read is taken off the list of those that nobody knows; the
// first thing wrong is kept.
class Table {
 public:
  Table(const std::string& path, const toml::table& table, std::string& problem)
      : path_(path), table_(table), problem_(problem) {}

  // In whole numbers; a value between low and high.
  template <typename Integer>
  void integer(std::string_view key, std::int64_t low, std::int64_t high, Integer& out) {
    const toml::node* const node = take(key);
    if (node == nullptr) return;
    const auto* const number = node->as_integer();
    if (number == nullptr || number->get() < low || number->get() > high) {
      unexpected(key, *node,
                 "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
      return;
    }
    out = static_cast<Integer>(number->get());
  }
  // In seconds, to the millisecond.
  void duration(std::string_view key, Duration& out, double low_s = 0, double high_s = kLongestS) {
    const auto value = real(key, low_s, high_s, "seconds");
    if (value) out = Duration::milliseconds(std::llround(*value * 1000));
  }
  // In percent, to a part of a million.
  void percent(std::string_view key, std::uint32_t& ppm) {
    const auto value = real(key, 0, 100, "percent");
    if (value) ppm = static_cast<std::uint32_t>(std::llround(*value * 10'000));
  }
  void text(std::string_view key, std::string& out) {
    const toml::node* const node = take(key);
    if (node == nullptr) return;
    if (const auto* const text = node->as_string()) {
      out = text->get();
    } else {
      unexpected(key, *node, "a text");
    }
  }
  // One of `names`: its index.
  template <typename Choice>
  void choice(std::string_view key, std::span<const std::string_view> names, Choice& out) {
    const toml::node* const node = take(key);
    if (node == nullptr) return;
    const auto* const text = node->as_string();
    for (std::size_t i = 0; text != nullptr && i < names.size(); ++i) {
      if (text->get() != names[i]) continue;
      out = static_cast<Choice>(i);
      return;
    }
    unexpected(key, *node, "one of " + names_of(names));
  }
  void nodes(std::string_view key, std::uint32_t below, std::vector<NodeIndex>& out) {
    const toml::node* const node = take(key);
    if (node == nullptr) return;
    const std::string expected =
        "a list of whole numbers from 0 to " + std::to_string(below - std::uint64_t{1});
    const auto* const list = node->as_array();
    if (list == nullptr) return unexpected(key, *node, expected);
    for (const toml::node& item : *list) {
      const auto* const number = item.as_integer();
      if (number == nullptr || number->get() < 0 || number->get() >= below)
        return unexpected(key, item, expected);
      out.push_back(static_cast<NodeIndex>(number->get()));
    }
  }
  void need(std::string_view key, std::string_view what) {
    if (table_.get(key) == nullptr)
      report(table_.source().begin, std::string(key) + ": missing, expected " + std::string(what));
  }
  [[nodiscard]] const toml::node* take(std::string_view key) {
    taken_.emplace_back(key);
    return table_.get(key);
  }
  [[nodiscard]] std::optional<Table> section(std::string_view key) {
    const toml::node* const node = take(key);
    if (node == nullptr) return std::nullopt;
    if (const auto* const table = node->as_table()) return below(*table);
    unexpected(key, *node, "a section [" + std::string(key) + "]");
    return std::nullopt;
  }
  [[nodiscard]] Table below(const toml::table& table) const { return {path_, table, problem_}; }
  void unexpected(std::string_view key, const toml::node& node, const std::string& expected) {
    report(node.source().begin,
           std::string(key) + ": found " + describe(node) + ", expected " + expected);
  }
  // All keys were asked for that may be here.
  void end() {
    for (const auto& [key, value] : table_)
      if (std::find(taken_.begin(), taken_.end(), key.str()) == taken_.end())
        report(value.source().begin,
               "unknown key " + shown(key.str()) + ", expected one of " +
                   names_of(std::vector<std::string_view>(taken_.begin(), taken_.end())));
  }

 private:
  std::optional<double> real(std::string_view key, double low, double high, const char* unit) {
    const toml::node* const node = take(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value<double>();
    if (value && *value >= low && *value <= high) return value;
    char text[80];
    std::snprintf(text, sizeof text, "%s from %.10g to %.10g", unit, low, high);
    unexpected(key, *node, text);
    return std::nullopt;
  }
  void report(toml::source_position at, const std::string& what) {
    if (problem_.empty()) problem_ = path_ + ":" + std::to_string(at.line) + ": " + what;
  }

  const std::string& path_;
  const toml::table& table_;
  std::string& problem_;
  std::vector<std::string> taken_;
};

void read(Table& table, Conditions& conditions) {
  table.percent("loss_percent", conditions.loss_ppm);
  table.percent("duplicate_percent", conditions.duplicate_ppm);
  table.percent("spike_percent", conditions.spike_ppm);
  table.duration("spike_s", conditions.spike);
  table.duration("jitter_s", conditions.jitter);
}

void read(Table& table, const Scenario& scenario, Incident& incident) {
  table.need("at_s", "seconds since the beginning");
  table.duration("at_s", incident.at);
  table.need("what", "one of " + names_of(kIncidentNames));
  table.choice("what", kIncidentNames, incident.what);
  if (incident.what == IncidentKind::kConditions) {
    read(table, incident.conditions);
  } else if (incident.what != IncidentKind::kHeal) {
    table.need("nodes", "a list of nodes");
    table.nodes("nodes", scenario.nodes, incident.nodes);
  }
  if (incident.what == IncidentKind::kPart) table.integer("part", 0, 255, incident.part);
  if (incident.what == IncidentKind::kClock) {
    table.duration("skew_s", incident.clock.skew, -kLongestS);
    table.integer("drift_ppm", -kMillion / 2, kMillion, incident.clock.drift_ppm);
  }
  if (incident.what == IncidentKind::kHostile)
    table.choice("kind", kHostileNames, incident.hostile);
  if (uses_dht(incident.what)) {
    table.integer("number", 0, kMostNumber, incident.number);
    if (has_ttl(incident.what)) table.duration("ttl_s", incident.ttl, kShortestTtlS, kLongestTtlS);
  }
  if (incident.what == IncidentKind::kUplink) {
    table.integer("kbit_s", 0, kMillion, incident.uplink.kbit_s);
    table.integer("queue_packets", 1, kMillion, incident.uplink.queue_packets);
  }
  table.end();
}

void read(Table& table, const Scenario& scenario, NatGroup& group) {
  table.need("nodes", "a list of nodes");
  table.nodes("nodes", scenario.nodes, group.nodes);
  table.choice("mapping", kMappingNames, group.behaviour.mapping);
  table.choice("filtering", kFilteringNames, group.behaviour.filtering);
  table.duration("timeout_s", group.behaviour.timeout);
  table.end();
}

// Sections [[key]], any number of them.
template <typename Item>
void read_list(Table& root, const std::string& key, const Scenario& scenario,
               std::vector<Item>& out) {
  const std::string section = "[[" + key + "]]";
  const toml::node* const node = root.take(key);
  if (node == nullptr) return;
  const auto* const list = node->as_array();
  if (list == nullptr) return root.unexpected(key, *node, "sections " + section);
  for (const toml::node& item : *list) {
    const auto* const table = item.as_table();
    if (table == nullptr) return root.unexpected(key, item, "a section " + section);
    Table reader = root.below(*table);
    read(reader, scenario, out.emplace_back());
  }
}

// --- Writing -------------------------------------------------------------------------------------

std::string seconds_text(Duration duration) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f", duration.count_s());
  return text;
}

std::string percent_text(std::uint32_t ppm) {
  char text[40];
  std::snprintf(text, sizeof text, "%.4f", ppm / 10'000.0);
  return text;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + "\"";
}

void write(std::ostream& out, const Conditions& conditions) {
  if (conditions.loss_ppm > 0)
    out << "loss_percent = " << percent_text(conditions.loss_ppm) << "\n";
  if (conditions.duplicate_ppm > 0)
    out << "duplicate_percent = " << percent_text(conditions.duplicate_ppm) << "\n";
  if (conditions.spike_ppm > 0)
    out << "spike_percent = " << percent_text(conditions.spike_ppm) << "\n";
  if (conditions.spike > Duration{}) out << "spike_s = " << seconds_text(conditions.spike) << "\n";
  if (conditions.jitter > Duration{})
    out << "jitter_s = " << seconds_text(conditions.jitter) << "\n";
}

void write(std::ostream& out, const std::vector<NodeIndex>& nodes) {
  out << "nodes = [";
  for (std::size_t i = 0; i < nodes.size(); ++i)
    out << (i == 0 ? "" : ", ") << nodes[i];
  out << "]\n";
}

void write(std::ostream& out, const NatGroup& group) {
  out << "\n[[nat]]\n";
  write(out, group.nodes);
  out << "mapping = \"" << kMappingNames[static_cast<std::size_t>(group.behaviour.mapping)]
      << "\"\nfiltering = \""
      << kFilteringNames[static_cast<std::size_t>(group.behaviour.filtering)]
      << "\"\ntimeout_s = " << seconds_text(group.behaviour.timeout) << "\n";
}

void write(std::ostream& out, const Incident& incident) {
  out << "\n[[incident]]\nat_s = " << seconds_text(incident.at) << "\nwhat = \""
      << kIncidentNames[static_cast<std::size_t>(incident.what)] << "\"\n";
  if (incident.what != IncidentKind::kConditions && incident.what != IncidentKind::kHeal)
    write(out, incident.nodes);
  if (uses_dht(incident.what)) out << "number = " << incident.number << "\n";
  if (has_ttl(incident.what)) out << "ttl_s = " << seconds_text(incident.ttl) << "\n";
  switch (incident.what) {
    case IncidentKind::kPart:
      out << "part = " << unsigned{incident.part} << "\n";
      break;
    case IncidentKind::kClock:
      out << "skew_s = " << seconds_text(incident.clock.skew)
          << "\ndrift_ppm = " << incident.clock.drift_ppm << "\n";
      break;
    case IncidentKind::kHostile:
      out << "kind = \"" << kHostileNames[static_cast<std::size_t>(incident.hostile)] << "\"\n";
      break;
    case IncidentKind::kConditions:
      write(out, incident.conditions);
      break;
    case IncidentKind::kUplink:
      out << "kbit_s = " << incident.uplink.kbit_s
          << "\nqueue_packets = " << incident.uplink.queue_packets << "\n";
      break;
    default:
      break;
  }
}

}  // namespace

Result<Scenario> parse_scenario(const std::string& path, std::string_view text) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    const auto& error = parsed.error();
    return failure(path + ":" + std::to_string(error.source().begin.line) + ": " +
                   std::string(error.description()));
  }
  std::string problem;
  Scenario scenario;
  Table root(path, parsed.table(), problem);
  root.text("about", scenario.about);
  root.integer("seed", 0, INT64_MAX, scenario.seed);
  root.integer("nodes", 1, kMostNodes, scenario.nodes);
  root.integer("well_known", 1, 64, scenario.well_known);
  root.text("latency", scenario.latency);
  root.duration("joining_s", scenario.joining);
  root.duration("duration_s", scenario.duration);
  root.duration("lookup_interval_s", scenario.lookup_interval);
  root.duration("read_interval_s", scenario.read_interval);
  root.percent("linkable_percent", scenario.linkable_ppm);
  if (auto conditions = root.section("conditions")) {
    read(*conditions, scenario.conditions);
    conditions->end();
  }
  if (auto promise = root.section("promise")) {
    promise->duration("ring_right_within_s", scenario.promise.ring_right_within);
    promise->integer("lookups_ok_percent", 0, 100, scenario.promise.lookups_ok_percent);
    promise->end();
  }
  read_list(root, "nat", scenario, scenario.nats);
  read_list(root, "incident", scenario, scenario.incidents);
  root.end();
  if (!problem.empty()) return failure(problem);
  return scenario;
}

Result<Scenario> load_scenario(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return system_failure("reading " + path, errno);
  return parse_scenario(path, text.str());
}

std::string scenario_text(const Scenario& scenario) {
  std::ostringstream out;
  if (!scenario.about.empty()) out << "about = " << quoted(scenario.about) << "\n";
  out << "seed = " << scenario.seed << "\nnodes = " << scenario.nodes
      << "\nwell_known = " << scenario.well_known << "\nlatency = " << quoted(scenario.latency)
      << "\njoining_s = " << seconds_text(scenario.joining)
      << "\nduration_s = " << seconds_text(scenario.duration)
      << "\nlookup_interval_s = " << seconds_text(scenario.lookup_interval)
      << "\nread_interval_s = " << seconds_text(scenario.read_interval)
      << "\nlinkable_percent = " << percent_text(scenario.linkable_ppm) << "\n\n[conditions]\n";
  write(out, scenario.conditions);
  out << "\n[promise]\nring_right_within_s = " << seconds_text(scenario.promise.ring_right_within)
      << "\nlookups_ok_percent = " << scenario.promise.lookups_ok_percent << "\n";
  for (const NatGroup& group : scenario.nats)
    write(out, group);
  for (const Incident& incident : scenario.incidents)
    write(out, incident);
  return out.str();
}

Result<void> save_scenario(const std::string& path, const Scenario& scenario) {
  std::ofstream file(path);
  file << scenario_text(scenario);
  file.close();
  if (!file) return system_failure("writing " + path, errno);
  return {};
}

}  // namespace ringway::overlay::sim
