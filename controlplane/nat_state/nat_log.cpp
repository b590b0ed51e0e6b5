#include "controlplane/nat_state/nat_log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "controlplane/keys.hpp"
#include "controlplane/logging.hpp"

namespace ringway::control {
namespace {

constexpr std::int64_t kMillisecondNs = 1'000'000;
constexpr std::int64_t kSecondNs = 1'000'000'000;

struct ProtocolName {
  std::uint8_t number;
  std::string_view name;
};
constexpr ProtocolName kProtocols[] = {{net::kProtocolTcp, "tcp"},
                                       {net::kProtocolUdp, "udp"},
                                       {net::kProtocolIcmp, "icmp"},
                                       {net::kProtocolIcmpv6, "icmpv6"}};

constexpr std::string_view kKindNames[] = {"given", "returned", "started", "stopped",
                                           "lost",  "rotated",  "held"};

bool is_of_block(NatLogKind kind) {
  return kind == NatLogKind::kGiven || kind == NatLogKind::kReturned || kind == NatLogKind::kHeld;
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && rest == text.data() + text.size() && !text.empty();
}

// Takes what stands before `mark`, and the mark; all that is left where there is none.
std::string_view take_until(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

// The value of the next field, which must have this name.
std::optional<std::string_view> take_field(std::string_view& text, std::string_view name) {
  std::string_view field = take_until(text, ' ');
  if (take_until(field, '=') != name || field.empty()) return std::nullopt;
  return field;
}

bool read_ports(std::string_view text, NatLogLine& line) {
  const std::string_view first = take_until(text, '-');
  return read_number(first, line.first_port) && read_number(text, line.last_port) &&
         line.first_port <= line.last_port;
}

bool read_block(std::string_view& text, NatLogLine& line) {
  const auto protocol = take_field(text, "protocol");
  const auto address = take_field(text, "address");
  const auto ports = take_field(text, "ports");
  const auto subscriber = take_field(text, "subscriber");
  const auto key = take_field(text, "key");
  if (!protocol || !address || !ports || !subscriber || !key) return false;
  const auto number = parse_protocol(*protocol);
  const auto parsed_address = net::IpAddress::parse(*address);
  const auto parsed_key = parse_public_key(*key);
  if (!number || !parsed_address || !parsed_key || !read_ports(*ports, line)) return false;
  line.protocol = *number;
  line.address = *parsed_address;
  line.subscriber = *subscriber;
  line.key = *parsed_key;
  return true;
}

// "+02:00"; the offset in seconds.
bool read_offset(std::string_view text, std::int64_t& seconds) {
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return false;
  unsigned hours = 0;
  unsigned minutes = 0;
  if (!read_number(text.substr(1, 2), hours) || !read_number(text.substr(4, 2), minutes) ||
      hours > 23 || minutes > 59) {
    return false;
  }
  seconds = (text[0] == '-' ? -1 : 1) * (std::int64_t{hours} * 3600 + minutes * 60);
  return true;
}

// ".123": as nanoseconds, and what follows.
bool take_fraction(std::string_view& text, std::int64_t& ns) {
  if (text.empty() || text.front() != '.') return true;
  text.remove_prefix(1);
  std::int64_t unit = 100'000'000;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    ns += unit * (text[digits] - '0');
    unit /= 10;
  }
  text.remove_prefix(digits);
  return digits > 0;
}

// "2026-11-21T11:35:08"
bool read_calendar(std::string_view text, std::int64_t& unix_s) {
  constexpr std::string_view kPattern = "0000-00-00T00:00:00";
  if (text.size() != kPattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    const bool right = kPattern[i] == '0'   ? digit
                       : kPattern[i] == 'T' ? text[i] == 'T' || text[i] == ' '
                                            : text[i] == kPattern[i];
    if (!right) return false;
  }
  std::tm time{};
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = 0;
    std::from_chars(text.data() + at, text.data() + at + length, value);
    return value;
  };
  time.tm_year = number(0, 4) - 1900;
  time.tm_mon = number(5, 2) - 1;
  time.tm_mday = number(8, 2);
  time.tm_hour = number(11, 2);
  time.tm_min = number(14, 2);
  time.tm_sec = number(17, 2);
  const std::tm asked = time;
  unix_s = ::timegm(&time);
  // What timegm had to put right was no date.
  return asked.tm_mon == time.tm_mon && asked.tm_mday == time.tm_mday &&
         asked.tm_hour == time.tm_hour && asked.tm_min == time.tm_min &&
         asked.tm_sec == time.tm_sec;
}

bool is_same_file(const FileDescriptor& a, const FileDescriptor& b) {
  struct stat of_a {};
  struct stat of_b {};
  return ::fstat(a.get(), &of_a) == 0 && ::fstat(b.get(), &of_b) == 0 &&
         of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

FileDescriptor open_log(const std::string& path) {
  return FileDescriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
}

}  // namespace

std::string utc_text(WallTime time) {
  const auto seconds = static_cast<std::time_t>(time.unix_seconds());
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  const auto ms = static_cast<int>(time.unix_ns() / kMillisecondNs % 1000);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                parts.tm_sec, ms);
  return text.data();
}

Result<WallTime> parse_time(std::string_view text) {
  constexpr std::size_t kCalendarLength = 19;
  std::int64_t seconds = 0;
  // A WallTime ends in the year 2262.
  const auto has_place = [](std::int64_t unix_s) {
    return unix_s >= 0 && unix_s < INT64_MAX / kSecondNs;
  };
  if (read_number(text, seconds) && has_place(seconds)) {
    return WallTime::from_unix_ns(seconds * kSecondNs);
  }
  std::string_view rest = text.substr(std::min(text.size(), kCalendarLength));
  std::int64_t ns = 0;
  std::int64_t offset_s = 0;
  if (read_calendar(text.substr(0, kCalendarLength), seconds) && take_fraction(rest, ns) &&
      (rest.empty() || rest == "Z" || read_offset(rest, offset_s)) &&
      has_place(seconds - offset_s)) {
    return WallTime::from_unix_ns((seconds - offset_s) * kSecondNs + ns);
  }
  return failure("'" + std::string(text) + "' is not a time",
                 "expected something like 2026-11-21T11:35:08Z, or Unix seconds");
}

std::string protocol_text(std::uint8_t protocol) {
  const auto* found = std::ranges::find(kProtocols, protocol, &ProtocolName::number);
  return found == std::end(kProtocols) ? std::to_string(protocol) : std::string(found->name);
}

Result<std::uint8_t> parse_protocol(std::string_view text) {
  const auto* found = std::ranges::find(kProtocols, text, &ProtocolName::name);
  if (found != std::end(kProtocols)) return found->number;
  return failure("'" + std::string(text) + "' is not a protocol of the NAT",
                 "expected tcp, udp, icmp or icmpv6");
}

std::string format_nat_log_line(const NatLogLine& line) {
  std::string text = utc_text(line.at) + " ";
  text += kKindNames[static_cast<std::size_t>(line.kind)];
  if (line.kind == NatLogKind::kLost) text += " events=" + std::to_string(line.lost);
  if (!is_of_block(line.kind)) return text;
  text += " protocol=" + protocol_text(line.protocol) + " address=" + line.address.to_string() +
          " ports=" + std::to_string(line.first_port) + "-" + std::to_string(line.last_port) +
          " subscriber=" + line.subscriber + " key=" + key_to_text(line.key);
  if (line.kind == NatLogKind::kHeld) text += " since=" + utc_text(line.since);
  return text;
}

std::optional<NatLogLine> parse_nat_log_line(std::string_view text) {
  NatLogLine line;
  const auto at = parse_time(take_until(text, ' '));
  const std::string_view name = take_until(text, ' ');
  const auto* const kind = std::ranges::find(kKindNames, name);
  if (!at || kind == std::end(kKindNames)) return std::nullopt;
  line.at = *at;
  line.kind = static_cast<NatLogKind>(kind - std::begin(kKindNames));
  if (line.kind == NatLogKind::kLost) {
    const auto events = take_field(text, "events");
    if (!events || !read_number(*events, line.lost)) return std::nullopt;
  } else if (is_of_block(line.kind)) {
    if (!read_block(text, line)) return std::nullopt;
  }
  if (line.kind == NatLogKind::kHeld) {
    const auto since = take_field(text, "since");
    const auto time = since ? parse_time(*since) : failure("");
    if (!time) return std::nullopt;
    line.since = *time;
  }
  return line;
}

bool PortHistory::concerns(const NatLogLine& line) const {
  return line.address == address_ && line.first_port <= port_ && port_ <= line.last_port &&
         (protocol_ == 0 || protocol_ == line.protocol);
}

// protocol 0: of all.
void PortHistory::close(WallTime at, std::uint8_t protocol) {
  for (PortTenancy& tenancy : tenancies_) {
    if (!tenancy.until && (protocol == 0 || protocol == tenancy.protocol)) tenancy.until = at;
  }
}

bool PortHistory::is_open(std::uint8_t protocol) const {
  return std::ranges::any_of(tenancies_, [&](const PortTenancy& tenancy) {
    return !tenancy.until && tenancy.protocol == protocol;
  });
}

void PortHistory::add(const NatLogLine& line) {
  if (!begins_) begins_ = line.at;
  switch (line.kind) {
    case NatLogKind::kStarted:
    case NatLogKind::kStopped:
      if (!complete_from_) complete_from_ = line.at;
      return close(line.at, 0);
    case NatLogKind::kRotated:
      if (!complete_from_) complete_from_ = line.at;
      return;
    case NatLogKind::kLost:
      losses_.push_back(line.at);
      return;
    case NatLogKind::kReturned:
      if (concerns(line)) close(line.at, line.protocol);
      return;
    case NatLogKind::kGiven:
      if (!concerns(line)) return;
      close(line.at, line.protocol);  // its return was lost
      tenancies_.push_back({line.protocol, line.subscriber, line.key, line.at, std::nullopt});
      return;
    case NatLogKind::kHeld:
      if (concerns(line) && !is_open(line.protocol)) {
        tenancies_.push_back({line.protocol, line.subscriber, line.key, line.since, std::nullopt});
      }
      return;
  }
}

bool PortHistory::lost_between(WallTime from, WallTime to) const {
  return std::ranges::any_of(losses_, [&](WallTime at) { return from <= at && at <= to; });
}

std::vector<PortTenancy> PortHistory::at(WallTime time) const {
  std::vector<PortTenancy> found;
  std::ranges::copy_if(tenancies_, std::back_inserter(found), [&](const PortTenancy& tenancy) {
    return tenancy.from <= time && (!tenancy.until || time < *tenancy.until);
  });
  return found;
}

Result<NatLog> NatLog::open(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  NatLog log(path);
  log.file_ = open_log(path);
  if (!log.file_.open()) {
    return system_failure("opening the NAT's log " + path, errno,
                          "set gateway.nat_log to a file that this user may write");
  }
  return log;
}

void NatLog::write(const std::vector<NatLogLine>& lines) {
  if (lines.empty()) return;
  std::string text;
  if (owed_ != 0) {
    NatLogLine loss;
    loss.at = lines.front().at;
    loss.kind = NatLogKind::kLost;
    loss.lost = owed_;
    text += "\n" + format_nat_log_line(loss) + "\n";  // what was written last may be half a line
  }
  for (const NatLogLine& line : lines)
    text += format_nat_log_line(line) + "\n";
  if (write_all(file_.get(), {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()})) {
    owed_ = 0;
    return;
  }
  if (owed_ == 0) {
    log_error(system_failure("writing the NAT's log " + path_, errno,
                             "lines are lost until there is room")
                  .value()
                  .text());
  }
  owed_ += lines.size();
  lost_ += lines.size();
}

Result<bool> NatLog::reopen() {
  FileDescriptor fresh = open_log(path_);
  if (!fresh.open()) return system_failure("opening the NAT's log " + path_ + " anew", errno);
  const bool is_other = !is_same_file(file_, fresh);
  file_ = std::move(fresh);
  return is_other;
}

}  // namespace ringway::control
