// The version of this build, as the project's CMakeLists.txt states it.
#pragma once

#include <string_view>

namespace ringway::control {

inline constexpr std::string_view kVersion = RINGWAY_VERSION;

}  // namespace ringway::control
