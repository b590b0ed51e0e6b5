// A node's status as text for a person, and field by field for scripts, in the words and layout of
// `wg show`. Pure functions: status in, text out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "controlplane/node_status.hpp"

namespace ringway::control::cli {

// Colours and weights for a terminal; plain text otherwise.
class Palette {
 public:
  explicit Palette(bool coloured) : coloured_(coloured) {}
  [[nodiscard]] std::string bold(std::string_view text) const { return wrap("\x1b[1m", text); }
  [[nodiscard]] std::string green(std::string_view text) const { return wrap("\x1b[32m", text); }
  [[nodiscard]] std::string yellow(std::string_view text) const { return wrap("\x1b[33m", text); }
  [[nodiscard]] std::string red(std::string_view text) const { return wrap("\x1b[31m", text); }
  [[nodiscard]] std::string cyan(std::string_view text) const { return wrap("\x1b[36m", text); }

 private:
  [[nodiscard]] std::string wrap(const char* start, std::string_view text) const {
    return coloured_ ? start + std::string(text) + "\x1b[0m" : std::string(text);
  }
  bool coloured_;
};

// "1 hour, 2 minutes, 3 seconds"; "0 seconds".
[[nodiscard]] std::string duration_text(std::uint64_t seconds, const Palette& palette);
// "900 B", "1.46 MiB".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes, const Palette& palette);

// Rows of equal length, the first one the headings; columns as wide as their widest cell. Colours
// go around padded cells.
[[nodiscard]] std::string render_table(const std::vector<std::vector<std::string>>& rows,
                                       const Palette& palette);

// All of `wg show INTERFACE`, with the peer's name and, for Ringway peers, its suite. Peers in the
// order of their latest handshake, newest first.
[[nodiscard]] std::string render_show(const NodeStatus& status, const Palette& palette);

// The fields of `wg show INTERFACE FIELD`, tab-separated, a line each.
[[nodiscard]] const std::vector<std::string>& show_fields();
// `interface_first`: each line begins with the interface's name, as for `wg show all FIELD`.
[[nodiscard]] Result<std::string> render_field(const NodeStatus& status, std::string_view name,
                                               bool interface_first);
[[nodiscard]] Result<Json> field_to_json(const NodeStatus& status, std::string_view name);

// The node as a whole: state, tunnel, ports, workers, what was dropped.
[[nodiscard]] std::string render_status(const NodeStatus& status, const Palette& palette);
// A table, a line a peer.
[[nodiscard]] std::string render_peers(const NodeStatus& status, const Palette& palette);

}  // namespace ringway::control::cli
