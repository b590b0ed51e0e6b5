// Scenarios as files: TOML, described in docs/TESTING.md. What is written reads back as the same
// scenario.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "overlay/sim/scenario.hpp"

namespace ringway::overlay::sim {

// path: for messages, which name the file, the line, what stands there and what was expected.
[[nodiscard]] Result<Scenario> parse_scenario(const std::string& path, std::string_view text);
[[nodiscard]] Result<Scenario> load_scenario(const std::string& path);
[[nodiscard]] std::string scenario_text(const Scenario& scenario);
[[nodiscard]] Result<void> save_scenario(const std::string& path, const Scenario& scenario);

}  // namespace ringway::overlay::sim
