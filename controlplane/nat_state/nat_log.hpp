// The log of the gateway's NAT: who was given which external port block, and when it came back. It
// answers "who had this port at this time", and says nothing of where anybody went (RFC 6888 REQ-12
// and REQ-14). A line each, of a kind and of fields NAME=VALUE in a fixed order:
//
//   2026-11-21T11:35:08.123Z given protocol=tcp address=192.0.2.1 ports=20032-20095
//       subscriber=laptop key=3p7b...=                          (one line)
//   2026-11-21T11:52:10.009Z returned ...                        the same fields
//   2026-11-21T11:00:00.000Z started       everything before has come back; what outlived the
//   2026-11-21T12:00:00.000Z stopped       restart is given again
//   2026-11-21T12:00:00.000Z lost events=17
//   2026-11-22T00:00:00.000Z rotated       the first line after a rotation: what is held follows
//   2026-11-22T00:00:00.000Z held ... since=2026-11-21T11:35:08.123Z    fields of `given` before
//
// Times are UTC; ports of icmp and icmpv6 are query identifiers. Formatting and reading are pure
// functions; NatLog is the control thread's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "controlplane/tunnel_control/state_file.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::control {

// "2026-11-21T11:35:08.123Z".
[[nodiscard]] std::string utc_text(WallTime time);
// The same, with or without a fraction, with 'T' or a blank, in UTC unless it ends in an offset
// like "+02:00"; or Unix seconds.
[[nodiscard]] Result<WallTime> parse_time(std::string_view text);

// "tcp", "udp", "icmp", "icmpv6"; of others the number.
[[nodiscard]] std::string protocol_text(std::uint8_t protocol);
[[nodiscard]] Result<std::uint8_t> parse_protocol(std::string_view text);

enum class NatLogKind : std::uint8_t {
  kGiven,
  kReturned,
  kStarted,
  kStopped,
  kLost,
  kRotated,
  kHeld,
};

struct NatLogLine {
  WallTime at;  // in whole milliseconds
  NatLogKind kind = NatLogKind::kGiven;
  // Of a block:
  std::uint8_t protocol = 0;
  net::IpAddress address;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
  std::string subscriber;
  tunnel::PublicKey key{};
  WallTime since;  // of a held one: when it was given
  std::uint64_t lost = 0;
  bool operator==(const NatLogLine&) const = default;
};

// Without the line end.
[[nodiscard]] std::string format_nat_log_line(const NatLogLine& line);
// Nothing where it is none; unknown fields behind the known ones are for later versions.
[[nodiscard]] std::optional<NatLogLine> parse_nat_log_line(std::string_view text);

// Who had a port, and from when to when.
struct PortTenancy {
  std::uint8_t protocol = 0;
  std::string subscriber;
  tunnel::PublicKey key{};
  WallTime from;
  std::optional<WallTime> until;  // unset: as far as the log goes
};

// Follows one external port through the lines of a log, oldest first.
class PortHistory {
 public:
  // protocol 0: any.
  PortHistory(net::IpAddress address, std::uint16_t port, std::uint8_t protocol)
      : address_(address), port_(port), protocol_(protocol) {}

  void add(const NatLogLine& line);
  // Those that had it at `time`: one of each protocol at most.
  [[nodiscard]] std::vector<PortTenancy> at(WallTime time) const;
  // Since when there has been a line: before that nothing is known.
  [[nodiscard]] std::optional<WallTime> begins() const { return begins_; }
  // Since when nothing is missing that was given out before the log began: the first mark of a
  // start, end or rotation.
  [[nodiscard]] std::optional<WallTime> complete_from() const { return complete_from_; }
  // Whether events are missing in between, so that an answer that rests on them may be wrong.
  [[nodiscard]] bool lost_between(WallTime from, WallTime to) const;

 private:
  [[nodiscard]] bool concerns(const NatLogLine& line) const;
  [[nodiscard]] bool is_open(std::uint8_t protocol) const;
  void close(WallTime at, std::uint8_t protocol);

  net::IpAddress address_;
  std::uint16_t port_;
  std::uint8_t protocol_;
  std::vector<PortTenancy> tenancies_;
  std::optional<WallTime> begins_;
  std::optional<WallTime> complete_from_;
  std::vector<WallTime> losses_;
};

// The file. Lines that cannot be written are counted, and made good by a line that says how many.
class NatLog {
 public:
  // Makes the file (0600), and the directory it stands in.
  [[nodiscard]] static Result<NatLog> open(const std::string& path);

  void write(const std::vector<NatLogLine>& lines);
  // The same path anew, after a log rotation. True: it is another file now. On failure lines go on
  // to the old one.
  [[nodiscard]] Result<bool> reopen();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  explicit NatLog(std::string path) : path_(std::move(path)) {}

  std::string path_;
  FileDescriptor file_;
  std::uint64_t lost_ = 0;
  std::uint64_t owed_ = 0;  // of these, not said in the file yet
};

}  // namespace ringway::control
