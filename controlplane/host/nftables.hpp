// Tables of nftables, by libnftables. A text is one transaction: all of it takes effect, or
// nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace ringway::control::nftables {

// Applies a ruleset text. `purpose` names it in an error: "the table ringway_rw0".
[[nodiscard]] Result<void> apply(const std::string& text, std::string_view purpose);
// Asks the kernel whether it would take the text, and changes nothing.
[[nodiscard]] Result<void> check(const std::string& text, std::string_view purpose);

// Tables are named by family and name: "inet ringway_rw0".
[[nodiscard]] Result<bool> table_exists(const std::string& table);
// Removing a table that is gone already succeeds.
[[nodiscard]] Result<void> remove_table(const std::string& table);

// "ip filter FORWARD": chains at the hook that drop what they do not accept, in tables of IPv4,
// IPv6 or both other than `own_table`. No accept of ours overrides them.
[[nodiscard]] Result<std::vector<std::string>> dropping_chains(std::string_view hook,
                                                               std::string_view own_table);

}  // namespace ringway::control::nftables
