// The sections and keys of the configuration file, for unknown ones and their nearest neighbours.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ringway::control {

struct SectionSchema {
  std::string_view name;
  std::span<const std::string_view> keys;
};

[[nodiscard]] std::span<const SectionSchema> config_schema();
[[nodiscard]] const SectionSchema* find_section(std::string_view name);

// ", did you mean 'mtu'?", ", it belongs to [worker]", or the list of what there is; for the end of
// a message.
[[nodiscard]] std::string suggest_key(const SectionSchema& section, std::string_view unknown);
[[nodiscard]] std::string suggest_section(std::string_view unknown);

}  // namespace ringway::control
