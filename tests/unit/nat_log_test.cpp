#include "controlplane/nat_state/nat_log.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <stdlib.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "controlplane/cli/nat.hpp"
#include "controlplane/keys.hpp"
#include "controlplane/nat_state/nat_records.hpp"

namespace ringway::control {
namespace {

constexpr WorkerId kWorker{0};
constexpr const char* kKey = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=";

WallTime at_second(std::int64_t second) {
  return WallTime::from_unix_ns(second * 1'000'000'000);
}

NatLogLine block(NatLogKind kind, std::int64_t second, const char* subscriber) {
  NatLogLine line;
  line.at = at_second(second);
  line.kind = kind;
  line.protocol = 6;
  line.address = *net::IpAddress::parse("192.0.2.1");
  line.first_port = 20032;
  line.last_port = 20095;
  line.subscriber = subscriber;
  line.key = *parse_public_key(kKey);
  return line;
}

NatLogLine mark(NatLogKind kind, std::int64_t second) {
  NatLogLine line;
  line.at = at_second(second);
  line.kind = kind;
  return line;
}

TEST(NatLogLine, HasTheDocumentedForm) {
  NatLogLine line = block(NatLogKind::kGiven, 0, "laptop");
  line.at = WallTime::from_unix_ns(1'795'260'908'123'456'789);
  EXPECT_EQ(format_nat_log_line(line),
            "2026-11-21T11:35:08.123Z given protocol=tcp address=192.0.2.1 ports=20032-20095 "
            "subscriber=laptop key=" +
                std::string(kKey));
  EXPECT_EQ(format_nat_log_line(mark(NatLogKind::kStarted, 0)), "1970-01-01T00:00:00.000Z started");
  NatLogLine lost = mark(NatLogKind::kLost, 0);
  lost.lost = 17;
  EXPECT_EQ(format_nat_log_line(lost), "1970-01-01T00:00:00.000Z lost events=17");
}

TEST(NatLogLine, IsReadBack) {
  for (const auto kind : {NatLogKind::kGiven, NatLogKind::kReturned}) {
    const NatLogLine line = block(kind, 1'795'260'908, "laptop");
    EXPECT_EQ(parse_nat_log_line(format_nat_log_line(line)), line);
  }
  NatLogLine held = block(NatLogKind::kHeld, 1'795'260'908, "laptop");
  held.since = at_second(1'795'260'900);
  EXPECT_EQ(parse_nat_log_line(format_nat_log_line(held)), held);
  const std::string given = format_nat_log_line(block(NatLogKind::kGiven, 9, "laptop"));
  std::string since_missing = given;
  since_missing.replace(since_missing.find("given"), 5, "held");
  EXPECT_FALSE(parse_nat_log_line(since_missing));
  for (const auto kind : {NatLogKind::kStarted, NatLogKind::kStopped, NatLogKind::kRotated})
    EXPECT_EQ(parse_nat_log_line(format_nat_log_line(mark(kind, 9))), mark(kind, 9));
  EXPECT_TRUE(parse_nat_log_line(given + " later=1"));
  for (std::size_t length = 0; length < given.size(); ++length)
    EXPECT_FALSE(parse_nat_log_line(given.substr(0, length))) << length;
  EXPECT_FALSE(parse_nat_log_line("1970-01-01T00:00:00.000Z lost events=many"));
  EXPECT_FALSE(parse_nat_log_line("1970-01-01T00:00:00.000Z taken"));
}

TEST(NatLogTime, IsReadInEveryUsualForm) {
  const WallTime time = at_second(1'795'260'908);
  for (const char* text :
       {"2026-11-21T11:35:08Z", "2026-11-21 11:35:08", "2026-11-21T11:35:08.000Z",
        "2026-11-21T13:35:08+02:00", "2026-11-21T06:05:08-05:30", "1795260908"}) {
    const auto parsed = parse_time(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, time) << text;
  }
  for (const char* text :
       {"", "now", "2026-11-21", "2026-02-30T00:00:00Z", "2026-11-21T25:00:00Z",
        "2026-11-21T11:35:08+2", "2026-11-21T11:35:08.Z", "-5", "2026-11-21T11:35:08Zulu",
        "99999999999999999999", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(PortHistory, TellsWhoHadAPortAndWhoNot) {
  PortHistory history(*net::IpAddress::parse("192.0.2.1"), 20040, 0);
  history.add(mark(NatLogKind::kStarted, 10));
  history.add(block(NatLogKind::kGiven, 20, "laptop"));
  NatLogLine other = block(NatLogKind::kGiven, 25, "phone");
  other.protocol = 17;
  history.add(other);
  other.first_port = 20096;  // another block
  other.last_port = 20159;
  history.add(other);
  history.add(block(NatLogKind::kReturned, 30, "laptop"));
  history.add(block(NatLogKind::kGiven, 40, "desk"));
  history.add(mark(NatLogKind::kStarted, 50));
  EXPECT_TRUE(history.at(at_second(19)).empty());
  ASSERT_EQ(history.at(at_second(20)).size(), 1U);
  EXPECT_EQ(history.at(at_second(20))[0].until, at_second(30));
  EXPECT_EQ(history.at(at_second(29)).size(), 2U);
  EXPECT_EQ(history.at(at_second(30)).size(), 1U);
  EXPECT_EQ(history.at(at_second(30))[0].subscriber, "phone");
  EXPECT_EQ(history.at(at_second(45)).size(), 2U);
  EXPECT_TRUE(history.at(at_second(50)).empty());
  EXPECT_EQ(history.begins(), at_second(10));
}

TEST(PortHistory, KnowsWhereItsAnswersMayBeWrong) {
  PortHistory history(*net::IpAddress::parse("192.0.2.1"), 20040, 6);
  history.add(block(NatLogKind::kGiven, 20, "laptop"));
  history.add(mark(NatLogKind::kLost, 30));
  EXPECT_FALSE(history.lost_between(at_second(20), at_second(29)));
  EXPECT_TRUE(history.lost_between(at_second(20), at_second(31)));
  EXPECT_FALSE(history.lost_between(at_second(31), at_second(90)));
}

class NatLogFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ringway-natlog-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string path() const { return directory_ + "/log/nat.log"; }
  static std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string directory_;
};

TEST_F(NatLogFile, IsPrivateAndGoesOnAfterARotation) {
  auto log = NatLog::open(path());
  ASSERT_TRUE(log) << log.error().text();
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  log->write({mark(NatLogKind::kStarted, 1)});
  std::filesystem::rename(path(), path() + ".1");
  log->write({mark(NatLogKind::kStarted, 2)});
  ASSERT_TRUE(log->reopen());
  log->write({mark(NatLogKind::kStarted, 3)});
  EXPECT_EQ(content(path() + ".1"),
            "1970-01-01T00:00:01.000Z started\n1970-01-01T00:00:02.000Z started\n");
  EXPECT_EQ(content(path()), "1970-01-01T00:00:03.000Z started\n");
}

TEST_F(NatLogFile, CountsWhatItCannotWrite) {
  auto log = NatLog::open("/dev/full");
  ASSERT_TRUE(log);
  log->write({mark(NatLogKind::kStarted, 1), mark(NatLogKind::kStarted, 2)});
  EXPECT_EQ(log->lost(), 2U);
  log->write({mark(NatLogKind::kStarted, 3)});
  EXPECT_EQ(log->lost(), 3U);
}

TEST_F(NatLogFile, RecordsNameTheSubscriberAsOfThen) {
  auto records = NatRecords::open(path());
  ASSERT_TRUE(records);
  const auto key = *parse_public_key(kKey);
  records->note_subscriber(PeerId{3}, "laptop", key);
  auto batch = std::make_unique<BlockEventBatch>();
  batch->at = Instant::from_ns(50'000'000'000);
  batch->count = 1;
  batch->events[0] = {true, PeerId{3}, 17, *net::IpAddress::parse("192.0.2.1"), 20032, 64};
  batch->lost = 4;
  // Two seconds later, by the clock on the wall 1002.
  records->take_blocks(kWorker, *batch, Instant::from_ns(52'000'000'000), at_second(1002));
  records->note_subscriber(PeerId{3}, "phone", key);
  records->take_blocks(kWorker, *batch, Instant::from_ns(50'000'000'000), at_second(1003));
  const std::string text = content(path());
  const std::string given = " given protocol=udp address=192.0.2.1 ports=20032-20095 subscriber=";
  EXPECT_NE(text.find("1970-01-01T00:16:40.000Z" + given + "laptop key=" + kKey + "\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("1970-01-01T00:16:40.000Z lost events=4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("1970-01-01T00:16:43.000Z" + given + "phone"), std::string::npos) << text;
  EXPECT_EQ(records->lost(), 4U);
  // Each worker's NAT counts for itself.
  batch->lost = 1;
  records->take_blocks(WorkerId{1}, *batch, batch->at, at_second(1004));
  EXPECT_NE(content(path()).find("1970-01-01T00:16:44.000Z lost events=1\n"), std::string::npos);
  EXPECT_EQ(records->lost(), 5U);
}

class RotatedNatLog : public NatLogFile {
 protected:
  void SetUp() override {
    NatLogFile::SetUp();
    auto opened = NatRecords::open(path());
    ASSERT_TRUE(opened);
    records_.emplace(std::move(*opened));
    records_->note_subscriber(PeerId{3}, "laptop", *parse_public_key(kKey));
  }
  void tell(bool given, std::uint16_t first_port, std::int64_t second, std::uint64_t lost = 0) {
    BlockEventBatch batch;
    batch.count = 1;
    batch.events[0] = {given, PeerId{3}, 6, *net::IpAddress::parse("192.0.2.1"), first_port, 64};
    batch.lost = lost;
    records_->take_blocks(kWorker, batch, batch.at, at_second(second));
  }
  void rotate(std::int64_t second) {
    std::filesystem::rename(path(), path() + ".1");
    ASSERT_TRUE(records_->reopen_log(at_second(second)));
  }
  [[nodiscard]] cli::WhoAnswer who_had(std::uint16_t port, std::int64_t second) const {
    const cli::WhoQuestion question{*net::IpAddress::parse("192.0.2.1"), port, 6,
                                    at_second(second)};
    return *cli::who_had(question, {path()}, {});
  }
  std::optional<NatRecords> records_;
};

TEST_F(RotatedNatLog, AloneAnswersForBlocksThatWereGivenBefore) {
  tell(true, 20032, 100);
  tell(true, 20096, 110);
  tell(false, 20096, 120);
  rotate(200);
  tell(false, 20032, 300);
  EXPECT_EQ(content(path()),
            "1970-01-01T00:03:20.000Z rotated\n"
            "1970-01-01T00:03:20.000Z held protocol=tcp address=192.0.2.1 ports=20032-20095 "
            "subscriber=laptop key=" +
                std::string(kKey) +
                " since=1970-01-01T00:01:40.000Z\n"
                "1970-01-01T00:05:00.000Z returned protocol=tcp address=192.0.2.1 "
                "ports=20032-20095 subscriber=laptop key=" +
                kKey + "\n");
  const cli::WhoAnswer held = who_had(20040, 250);
  ASSERT_EQ(held.holders.size(), 1U);
  EXPECT_EQ(held.holders[0].from, at_second(100));
  EXPECT_EQ(held.holders[0].until, at_second(300));
  EXPECT_TRUE(held.caveats.empty());
  const cli::WhoAnswer free = who_had(20100, 250);
  EXPECT_TRUE(free.holders.empty());
  EXPECT_TRUE(free.caveats.empty()) << "it is known that nobody had it";
}

TEST_F(RotatedNatLog, RepeatsNothingWhereTheFileIsTheSame) {
  tell(true, 20032, 100);
  const std::string before = content(path());
  ASSERT_TRUE(records_->reopen_log(at_second(200)));
  EXPECT_EQ(content(path()), before);
}

TEST_F(RotatedNatLog, SaysThatEventsWereLostBefore) {
  tell(true, 20032, 100, 4);
  rotate(200);
  EXPECT_NE(content(path()).find("1970-01-01T00:03:20.000Z lost events=4\n"), std::string::npos);
  EXPECT_EQ(who_had(20100, 250).caveats.size(), 1U);
}

TEST_F(RotatedNatLog, ContinuesWhatTheOlderOneTells) {
  tell(true, 20032, 100);
  rotate(200);
  const cli::WhoQuestion question{*net::IpAddress::parse("192.0.2.1"), 20040, 6, at_second(250)};
  const auto answer = cli::who_had(question, {path() + ".1", path()}, {});
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->holders.size(), 1U) << "one tenancy, told twice";
  EXPECT_EQ(answer->holders[0].from, at_second(100));
}

TEST_F(NatLogFile, AnswersWhoHadAPortFromSeveralFiles) {
  std::filesystem::create_directories(directory_ + "/log");
  std::ofstream(path() + ".1") << format_nat_log_line(mark(NatLogKind::kStarted, 90)) << "\n"
                               << format_nat_log_line(block(NatLogKind::kGiven, 100, "laptop"))
                               << "\n1970-01-01T00:0\n";
  std::ofstream(path()) << format_nat_log_line(block(NatLogKind::kReturned, 200, "laptop")) << "\n";
  cli::WhoQuestion question{*net::IpAddress::parse("192.0.2.1"), 20032, 0, at_second(150)};
  const auto answer = cli::who_had(question, {path() + ".1", path()}, {});
  ASSERT_TRUE(answer) << answer.error().text();
  ASSERT_EQ(answer->holders.size(), 1U);
  EXPECT_EQ(answer->holders[0].subscriber, "laptop");
  EXPECT_EQ(answer->holders[0].public_key, kKey);
  EXPECT_TRUE(answer->caveats.empty());
  const std::string text = cli::render_who(question, *answer, cli::Palette(false));
  EXPECT_NE(text.find("192.0.2.1:20032 at 1970-01-01T00:02:30.000Z\n"), std::string::npos) << text;
  EXPECT_NE(text.find("1970-01-01T00:03:20.000Z"), std::string::npos) << text;
  question.at = at_second(50);
  EXPECT_EQ(cli::who_had(question, {path() + ".1", path()}, {})->caveats.size(), 1U);
  question.at = at_second(300);
  EXPECT_NE(cli::render_who(question, *cli::who_had(question, {path() + ".1", path()}, {}),
                            cli::Palette(false))
                .find("nobody had 192.0.2.1:20032"),
            std::string::npos);
  EXPECT_FALSE(cli::who_had(question, {path() + ".7"}, {}));
  EXPECT_FALSE(cli::who_had(question, {directory_}, {})) << "opened, but cannot be read";
}

TEST_F(NatLogFile, ClaimsNothingOfWhatWasGivenBeforeTheLogBegan) {
  std::filesystem::create_directories(directory_ + "/log");
  // Rotated, without the older part; the block is TCP's.
  std::ofstream(path()) << format_nat_log_line(block(NatLogKind::kGiven, 100, "laptop")) << "\n";
  const auto caveats = [&](std::uint8_t protocol) {
    const cli::WhoQuestion question{*net::IpAddress::parse("192.0.2.1"), 20032, protocol,
                                    at_second(150)};
    const auto answer = cli::who_had(question, {path()}, {});
    return answer ? answer->caveats.size() : 99;
  };
  EXPECT_EQ(caveats(17), 1U) << "nobody, as far as this log goes";
  EXPECT_EQ(caveats(0), 1U) << "somebody may have the UDP port of that number";
  EXPECT_EQ(caveats(6), 0U);
  std::ofstream(path(), std::ios::app)
      << format_nat_log_line(mark(NatLogKind::kStarted, 140)) << "\n";
  EXPECT_EQ(caveats(17), 0U);
}

TEST(NatTable, IsSortedAndSaysHowManyThereAre) {
  const auto endpoint = [](const char* text) { return *net::Endpoint::parse(text); };
  const std::string text = cli::render_mappings(
      {{"phone", "udp", endpoint("10.77.0.3:5000"), endpoint("192.0.2.1:20033"), 7.9, 292.1},
       {"laptop", "tcp", endpoint("10.77.0.2:5001"), endpoint("192.0.2.1:20034"), 61, {}}},
      cli::Palette(false));
  EXPECT_EQ(text,
            "SUBSCRIBER  PROTOCOL  INNER           EXTERNAL         IDLE   EXPIRES IN\n"
            "laptop      tcp       10.77.0.2:5001  192.0.2.1:20034  1m 1s  never\n"
            "phone       udp       10.77.0.3:5000  192.0.2.1:20033  7s     4m 52s\n"
            "2 mappings of 2 subscribers\n");
  EXPECT_EQ(cli::render_mappings({}, cli::Palette(false)), "no mappings\n");
  EXPECT_EQ(cli::short_duration(7440), "2h 4m");
  EXPECT_EQ(cli::short_duration(7200), "2h");
}

}  // namespace
}  // namespace ringway::control
