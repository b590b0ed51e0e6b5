#include "controlplane/config_schema.hpp"

#include <algorithm>
#include <vector>

namespace ringway::control {
namespace {

constexpr std::string_view kInterfaceKeys[] = {
    "name", "private_key_file", "listen_port", "addresses", "mtu", "fwmark"};
constexpr std::string_view kWorkerKeys[] = {"count", "poll", "cpu"};
constexpr std::string_view kEdgeKeys[] = {"full_tunnel"};
constexpr std::string_view kGatewayKeys[] = {"masquerade",         "interface",           "io",
                                             "xdp_interfaces",     "xdp_frames",          "nat_log",
                                             "subscriber_up_mbps", "subscriber_down_mbps"};
constexpr std::string_view kPeerKeys[] = {"name",
                                          "public_key",
                                          "preshared_key_file",
                                          "preshared_key",
                                          "endpoint",
                                          "allowed_ips",
                                          "persistent_keepalive_s",
                                          "type",
                                          "suite",
                                          "up_mbps",
                                          "down_mbps"};
constexpr std::string_view kApiKeys[] = {"socket", "group"};
constexpr std::string_view kMetricsKeys[] = {"listen"};
constexpr std::string_view kLogKeys[] = {"level", "format"};
constexpr std::string_view kStateKeys[] = {"directory"};

constexpr SectionSchema kSections[] = {
    {"interface", kInterfaceKeys}, {"worker", kWorkerKeys}, {"edge", kEdgeKeys},
    {"gateway", kGatewayKeys},     {"peer", kPeerKeys},     {"api", kApiKeys},
    {"metrics", kMetricsKeys},     {"log", kLogKeys},       {"state", kStateKeys},
};

constexpr std::size_t kLongestCompared = 40;  // beyond that nothing is near

// wg-quick's names, for those who come from there.
struct Synonym {
  std::string_view theirs;
  std::string_view ours;
};
constexpr Synonym kSynonyms[] = {
    {"privatekey", "private_key_file"},
    {"presharedkey", "preshared_key_file"},
    {"persistentkeepalive", "persistent_keepalive_s"},
    {"address", "addresses"},
};

std::string folded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '_' || c == '-') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

// Levenshtein distance, row by row.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

// Empty when none is near: at most one letter in three may differ.
template <typename Names>
std::string_view nearest(const Names& names, std::string_view unknown) {
  if (unknown.size() > kLongestCompared) return {};
  const std::string wanted = folded(unknown);
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  for (const std::string_view name : names) {
    const std::size_t distance = edit_distance(wanted, folded(name));
    if (distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

template <typename Names>
std::string list_of(const Names& names) {
  std::string list;
  for (const std::string_view name : names) {
    if (!list.empty()) list += ", ";
    list += name;
  }
  return list;
}

std::string did_you_mean(std::string_view name) {
  return ", did you mean '" + std::string(name) + "'?";
}

}  // namespace

std::span<const SectionSchema> config_schema() {
  return kSections;
}

const SectionSchema* find_section(std::string_view name) {
  const auto* found = std::ranges::find(kSections, name, &SectionSchema::name);
  return found == std::end(kSections) ? nullptr : found;
}

std::string suggest_key(const SectionSchema& section, std::string_view unknown) {
  for (const Synonym& synonym : kSynonyms) {
    if (folded(unknown) == synonym.theirs && std::ranges::count(section.keys, synonym.ours) != 0) {
      return did_you_mean(synonym.ours);
    }
  }
  if (const auto near = nearest(section.keys, unknown); !near.empty()) return did_you_mean(near);
  for (const SectionSchema& other : kSections) {
    if (std::ranges::count(other.keys, unknown) != 0) {
      return ", it belongs to [" + std::string(other.name) + "]";
    }
  }
  return ", expected one of " + list_of(section.keys);
}

std::string suggest_section(std::string_view unknown) {
  std::vector<std::string_view> names;
  for (const SectionSchema& section : kSections)
    names.push_back(section.name);
  if (const auto near = nearest(names, unknown); !near.empty()) return did_you_mean(near);
  for (const SectionSchema& section : kSections) {
    if (std::ranges::count(section.keys, unknown) != 0) {
      return ", it is a key of [" + std::string(section.name) + "]";
    }
  }
  return ", expected one of " + list_of(names);
}

}  // namespace ringway::control
