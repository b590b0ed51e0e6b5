#include "controlplane/tunnel_control/timestamp_file.hpp"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <stdlib.h>

#include <gtest/gtest.h>

namespace ringway::control {
namespace {

tunnel::Tai64n at_second(std::uint64_t second) {
  tunnel::Tai64n timestamp{};
  store_be(timestamp.data(), (std::uint64_t{1} << 62) + second);
  return timestamp;
}

tunnel::PublicKey peer_key(std::uint8_t number) {
  tunnel::PublicKey key{};
  key[0] = number;
  return key;
}

class TimestampFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ringway-timestamps-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern + "/state";
  }
  void TearDown() override {
    file_.reset();
    std::filesystem::remove_all(std::filesystem::path(directory_).parent_path());
  }

  void open() {
    auto file = TimestampFile::open(directory_);
    ASSERT_TRUE(file) << file.error().message;
    file_ = std::move(*file);
  }
  // What a crash leaves: the files as they are before the object's end.
  void crash() {
    const std::string kept = directory_ + ".kept";
    std::filesystem::copy(directory_, kept);
    file_.reset();
    std::filesystem::remove_all(directory_);
    std::filesystem::rename(kept, directory_);
  }

  std::string directory_;
  std::unique_ptr<TimestampFile> file_;
};

TEST_F(TimestampFileTest, BeginsWithNothing) {
  open();
  EXPECT_EQ(file_->last_sent(), tunnel::Tai64n{});
  EXPECT_EQ(file_->last_received(peer_key(1)), tunnel::Tai64n{});
}

TEST_F(TimestampFileTest, AfterACleanStopGoesOnWhereItStood) {
  open();
  file_->store_sent(at_second(1000));
  file_->store_sent(at_second(1007));
  file_.reset();
  open();
  EXPECT_EQ(file_->last_sent(), at_second(1007));
}

TEST_F(TimestampFileTest, AStartWithoutAHandshakeChangesNothing) {
  open();
  file_->store_sent(at_second(1000));
  file_.reset();
  open();
  file_.reset();
  open();
  EXPECT_EQ(file_->last_sent(), at_second(1000));
}

TEST_F(TimestampFileTest, AfterACrashIsPastAllThatWasSent) {
  open();
  for (std::uint64_t second = 1000; second < 1500; second += 7) {
    file_->store_sent(at_second(second));
    EXPECT_GT(file_->last_sent(), at_second(second));
  }
  crash();
  open();
  EXPECT_GT(file_->last_sent(), at_second(1497));
  EXPECT_LE(file_->last_sent(), at_second(1497 + 60));
}

TEST_F(TimestampFileTest, RemembersTheNewestOfEachPeerThroughCrashes) {
  open();
  file_->store_received(peer_key(1), at_second(10));
  file_->store_received(peer_key(2), at_second(500));
  file_->store_received(peer_key(1), at_second(20));
  crash();
  open();
  EXPECT_EQ(file_->last_received(peer_key(1)), at_second(20));
  EXPECT_EQ(file_->last_received(peer_key(2)), at_second(500));
  EXPECT_EQ(file_->last_received(peer_key(3)), tunnel::Tai64n{});
}

TEST_F(TimestampFileTest, ARecordThatACrashCutShortSpoilsNoOther) {
  open();
  file_->store_received(peer_key(1), at_second(10));
  file_.reset();
  std::ofstream(directory_ + "/timestamps-received", std::ios::app | std::ios::binary) << "cut";
  open();
  file_->store_received(peer_key(2), at_second(11));
  crash();
  open();
  EXPECT_EQ(file_->last_received(peer_key(1)), at_second(10));
  EXPECT_EQ(file_->last_received(peer_key(2)), at_second(11));
}

TEST_F(TimestampFileTest, TheLogIsRewrittenBeforeItGrowsWithoutEnd) {
  open();
  for (std::uint64_t i = 0; i < 60'000; ++i)
    file_->store_received(peer_key(static_cast<std::uint8_t>(i % 3)), at_second(i));
  EXPECT_LT(std::filesystem::file_size(directory_ + "/timestamps-received"), 1'500'000U);
  crash();
  open();
  EXPECT_EQ(file_->last_received(peer_key(2)), at_second(59'999));
}

TEST_F(TimestampFileTest, ADirectoryThatCannotBeMadeIsNamed) {
  std::ofstream(std::filesystem::path(directory_).parent_path() / "state") << "a file";
  const auto file = TimestampFile::open(directory_);
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find(directory_), std::string::npos) << file.error().message;
}

}  // namespace
}  // namespace ringway::control
