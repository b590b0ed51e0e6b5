#include "controlplane/node_status.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/status_samples.hpp"

namespace ringway::control {
namespace {

using testing::HasSubstr;

TEST(NodeStatus, SurvivesJsonBothWays) {
  const NodeStatus status = full_sample_status();
  const Json through_text = Json::parse(status_to_json(status).dump());
  const auto back = status_from_json(through_text);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(*back, status);
}

TEST(NodeStatus, DefaultSurvivesToo) {
  const auto back = status_from_json(status_to_json(NodeStatus{}));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(*back, NodeStatus{});
}

TEST(NodeStatus, HasTheDocumentedNames) {
  const Json json = status_to_json(full_sample_status());
  EXPECT_EQ(json["interface"], "ringway0");
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["full_tunnel"]["state"], "active");
  EXPECT_EQ(json["drops"]["replayed"], 7);
  EXPECT_EQ(json["peers"][0]["suite"], "aes256gcm");
  EXPECT_EQ(json["peers"][0]["endpoint"], "192.0.2.1:51820");
  EXPECT_EQ(json["peers"][0]["allowed_ips"], Json({"0.0.0.0/0", "::/0"}));
  EXPECT_TRUE(json["peers"][1]["endpoint"].is_null());
  EXPECT_TRUE(json["peers"][1]["latest_handshake_age_s"].is_null());
}

TEST(NodeStatus, IgnoresUnknownNamesAndKeepsDefaultsOfMissingOnes) {
  const auto status = status_from_json(Json::parse(R"({"interface": "x", "colour": "red"})"));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->interface, "x");
  EXPECT_EQ(status->mtu, 0);
}

TEST(NodeStatus, NamesAValueOfTheWrongKind) {
  for (const char* text : {R"({"mtu": "big"})", R"({"mtu": 65536})", R"({"mtu": -1})",
                           R"({"mtu": 1.5})", R"({"mtu": null})"}) {
    const auto status = status_from_json(Json::parse(text));
    ASSERT_FALSE(status) << text;
    EXPECT_THAT(status.error().message, HasSubstr("'mtu'"));
  }
  const auto nested = status_from_json(Json::parse(R"({"peers": [{"suite": "rot13"}]})"));
  ASSERT_FALSE(nested);
  EXPECT_THAT(nested.error().message, HasSubstr("'peers.suite'"));
  EXPECT_FALSE(status_from_json(Json::parse("[]")));
}

TEST(NodeStatus, ListsEveryDropReasonOnceAndAddsWorkersUp) {
  DropCounters first;
  DropCounters second;
  first.add(DropReason::kReplayed, 3);
  second.add(DropReason::kReplayed, 4);
  std::vector<LabelledCount> drops;
  add_drops(drops, first);
  add_drops(drops, second);
  ASSERT_EQ(drops.size(), kDropReasonCount);
  EXPECT_EQ(drops[static_cast<std::size_t>(DropReason::kReplayed)], (LabelledCount{"replayed", 7}));
}

// In the table of docs/OPERATIONS.md, which says what each means and what to do.
TEST(NodeStatus, EveryDropReasonIsDocumented) {
  std::ifstream file(RINGWAY_SOURCE_DIR "/docs/OPERATIONS.md");
  std::string rows;  // their first cells
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| ")) rows += line.substr(0, line.find('|', 1)) + "\n";
  }
  for (const DropReasonText& reason : kDropReasonTexts)
    EXPECT_THAT(rows, HasSubstr("`" + std::string(reason.label) + "`"));
}

}  // namespace
}  // namespace ringway::control
