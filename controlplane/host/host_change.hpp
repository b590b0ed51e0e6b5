// One thing that Ringway changes on its host, with all that is needed to take it back. A change is
// a value: the plans of full_tunnel and gateway_nat are lists of them, the journal stores them as
// JSON, and perform / undo are the only functions that touch the host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/result.hpp"
#include "controlplane/host/netlink.hpp"

namespace ringway::control {

// Devices are remembered by index: after a crash the name may belong to a new device, which owes
// nothing to the journal.
struct LinkMtu {
  int interface_index = 0;
  std::uint32_t mtu = 0;
  std::uint32_t before = 0;
};
struct LinkUp {
  int interface_index = 0;
  bool before = false;
};
struct LinkAddressGeneration {
  int interface_index = 0;
  std::uint8_t mode = 0;
  std::uint8_t before = 0;
};
struct AddAddress {
  int interface_index = 0;
  LocalAddress address;
};
struct AddRoute {
  Route route;
};
struct AddRule {
  Rule rule;
};
// An nftables table. The text is the table alone: "table inet NAME { ... }".
struct AddTable {
  std::string table;  // family and name: "inet ringway_rw0"
  std::string text;   // not journaled: a table is taken back by its name
};
// `value` unset: nothing is written, but the value of before is restored, because a later change
// alters it as a side effect.
struct SetSysctl {
  std::string name;
  std::optional<std::string> value;
  std::string before;
};

using HostChange = std::variant<LinkMtu, LinkUp, LinkAddressGeneration, AddAddress, AddRoute,
                                AddRule, AddTable, SetSysctl>;

// What the change is about, without its values: two changes with the same key are the same change.
[[nodiscard]] std::string change_key(const HostChange& change);

// Whether the host is as the change wants it already, so that there is nothing to do or to undo.
[[nodiscard]] bool is_no_op(const HostChange& change);

// Fails where the thing to be added exists already and is not ours. `adopting`: the change stands
// in the journal of a run that crashed, so what exists is ours and is kept or replaced without a
// gap.
[[nodiscard]] Result<void> perform(Netlink& netlink, const HostChange& change,
                                   bool adopting = false);
// Succeeds for what is gone already.
[[nodiscard]] Result<void> undo(Netlink& netlink, const HostChange& change);

// One line of JSON, and back.
[[nodiscard]] std::string change_to_json(const HostChange& change);
[[nodiscard]] Result<HostChange> change_from_json(const std::string& text);

}  // namespace ringway::control
