// What `ringway nat` shows: live mappings, and who had an external port at a time. Pure but for
// reading logs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "controlplane/cli/show.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/nat_state/nat_log.hpp"

namespace ringway::control::cli {

// "7s", "4m 10s", "2h 3m": for columns.
[[nodiscard]] std::string short_duration(double seconds);

// A table, a line a mapping, sorted by subscriber; and how many there are.
[[nodiscard]] std::string render_mappings(std::vector<MappingStatus> mappings,
                                          const Palette& palette);

struct WhoQuestion {
  net::IpAddress address;
  std::uint16_t port = 0;
  std::uint8_t protocol = 0;   // 0: any
  std::optional<WallTime> at;  // unset: now
};

struct PortHolder {
  std::string protocol;
  std::string subscriber;
  std::string public_key;              // empty: only the live mapping is known
  std::optional<net::Endpoint> inner;  // of a live mapping
  std::optional<WallTime> from;        // by the log, as the next
  std::optional<WallTime> until;
};

struct WhoAnswer {
  std::vector<PortHolder> holders;
  std::vector<std::string> caveats;  // a line each: why it may not be all
};

// Log files, oldest first; `live` are the mappings of that endpoint now, empty for another time.
[[nodiscard]] Result<WhoAnswer> who_had(const WhoQuestion& question,
                                        const std::vector<std::string>& log_files,
                                        const std::vector<MappingStatus>& live);

[[nodiscard]] std::string render_who(const WhoQuestion& question, const WhoAnswer& answer,
                                     const Palette& palette);
[[nodiscard]] Json who_to_json(const WhoQuestion& question, const WhoAnswer& answer);

}  // namespace ringway::control::cli
