#include "controlplane/keys.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::control {
namespace {

using testing::HasSubstr;

// RFC 7748 section 6.1.
constexpr const char* kAlicePrivate = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
constexpr const char* kAlicePublic = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

class KeyFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ringway-keys-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& content, mode_t mode = 0600) {
    const std::string path = directory_ + "/key";
    std::ofstream(path) << content;
    ::chmod(path.c_str(), mode);
    return path;
  }

  std::string directory_;
};

TEST(KeyText, RoundTripsEveryByteValue) {
  for (unsigned start = 0; start < 256; ++start) {
    tunnel::PublicKey key;
    for (unsigned i = 0; i < key.size(); ++i)
      key[i] = static_cast<std::uint8_t>(start + i * 37);
    const auto parsed = parse_public_key(key_to_text(key));
    ASSERT_TRUE(parsed) << start;
    EXPECT_EQ(*parsed, key);
  }
}

TEST(KeyText, MatchesStandardBase64) {
  tunnel::PublicKey key;
  for (unsigned i = 0; i < key.size(); ++i)
    key[i] = static_cast<std::uint8_t>(0xe0 + i);
  // `python3 -c 'import base64; print(base64.b64encode(bytes(range(224, 256))))'`
  EXPECT_EQ(key_to_text(key), "4OHi4+Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v8=");
}

TEST(KeyText, RefusesAnythingElse) {
  const std::string good = kAlicePublic;
  std::string nul = good;
  nul[5] = '\0';
  std::string high = good;
  high[7] = static_cast<char>(0xc1);
  for (const std::string& text :
       {std::string(), good.substr(1), good + "=", good + "\n", " " + good.substr(1),
        good.substr(0, 43) + "A", good.substr(0, 42) + "==", nul, high, "-" + good.substr(1),
        "_" + good.substr(1),
        // The last character's two unused bits: 'o' + 1 would decode to the same key.
        good.substr(0, 42) + "p="}) {
    EXPECT_FALSE(parse_public_key(text)) << text;
  }
}

TEST(KeyText, ErrorsDoNotRepeatTheSecret) {
  const std::string secret = std::string(kAlicePrivate).substr(0, 43) + "!";
  EXPECT_THAT(parse_private_key(secret).error().text(), testing::Not(HasSubstr("dwdt")));
}

TEST(Keys, DerivesThePublicKeyOfRfc7748) {
  EXPECT_EQ(key_to_text(*derive_public_key(*parse_private_key(kAlicePrivate))), kAlicePublic);
}

TEST(Keys, GeneratedPrivateKeysAreClampedAndDiffer) {
  const tunnel::PrivateKey a = generate_private_key();
  const tunnel::PrivateKey b = generate_private_key();
  EXPECT_FALSE(a == b);
  EXPECT_EQ(a.data()[0] & 7, 0);
  EXPECT_EQ(a.data()[31] & 0xc0, 0x40);
}

TEST(Keys, RecognisesLowOrderPoints) {
  tunnel::PublicKey zero{};
  tunnel::PublicKey one{1};
  EXPECT_TRUE(is_low_order(zero));
  EXPECT_TRUE(is_low_order(one));
  EXPECT_FALSE(is_low_order(*parse_public_key(kAlicePublic)));
}

TEST_F(KeyFile, IsReadWithOrWithoutLineEnd) {
  for (const char* end : {"", "\n"}) {
    const auto key = read_private_key_file(write(std::string(kAlicePrivate) + end));
    ASSERT_TRUE(key) << key.error().text();
    EXPECT_EQ(key_to_text(key->span()), kAlicePrivate);
  }
}

TEST_F(KeyFile, IsRefusedWhenOthersMayReadIt) {
  for (const mode_t mode : {0644U, 0640U, 0604U, 0620U, 0601U}) {
    const std::string path = write(std::string(kAlicePrivate) + "\n", mode);
    const auto key = read_private_key_file(path);
    ASSERT_FALSE(key) << std::oct << mode;
    EXPECT_THAT(key.error().message, HasSubstr(path));
    EXPECT_THAT(key.error().remedy, HasSubstr("chmod 600 " + path));
  }
}

TEST_F(KeyFile, IsRefusedWhenItHoldsMoreOrLessThanAKey) {
  const std::string key = kAlicePrivate;
  for (const std::string& content :
       {std::string(), std::string("\n"), key + "\n\n", key + "\r\n", key + " ", " " + key,
        key + "\n" + key, key.substr(0, 43), "PrivateKey = " + key}) {
    const auto read = read_private_key_file(write(content));
    ASSERT_FALSE(read) << content;
    EXPECT_THAT(read.error().text(), testing::Not(HasSubstr("dwdt")));
  }
}

TEST_F(KeyFile, ThatIsMissingIsNamedWithARemedy) {
  const auto key = read_private_key_file(directory_ + "/none");
  ASSERT_FALSE(key);
  EXPECT_THAT(key.error().message, HasSubstr(directory_ + "/none: No such file"));
  EXPECT_THAT(key.error().remedy, HasSubstr("ringway genkey"));
}

TEST_F(KeyFile, MustBeARegularFile) {
  const std::string fifo = directory_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(read_private_key_file(fifo).error().message, HasSubstr("not a regular file"));
  EXPECT_FALSE(read_private_key_file(directory_));
}

}  // namespace
}  // namespace ringway::control
