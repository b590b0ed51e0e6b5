#include "controlplane/host/host_journal.hpp"

#include <fstream>
#include <sstream>

#include "tests/unit/host_lab.hpp"

namespace ringway::control {
namespace {

class HostJournalTest : public HostLab {
 protected:
  [[nodiscard]] std::filesystem::path path() const {
    return HostJournal::path_in(state_directory_);
  }
  [[nodiscard]] std::string text() const {
    std::ifstream file(path());
    return (std::ostringstream() << file.rdbuf()).str();
  }
  void write(const std::string& content) const { std::ofstream(path()) << content; }
  [[nodiscard]] std::unique_ptr<HostJournal> open() const {
    auto journal = HostJournal::open(state_directory_);
    EXPECT_TRUE(journal) << journal.error().text();
    return journal ? std::move(*journal) : nullptr;
  }
};

std::vector<HostChange> one_of_each() {
  Rule rule;
  rule.family = net::Family::kIpv6;
  rule.priority = 87;
  rule.table = 21079;
  rule.mark = 0x5257;
  rule.invert = true;
  rule.suppress_prefix_length = 0;
  rule.in_interface = "lo";
  rule.protocol = 17;
  rule.source_port = 68;
  rule.destination_port = 67;
  return {
      LinkMtu{3, 1420, 1500},
      LinkUp{3, false},
      AddAddress{3, *LocalAddress::parse("10.77.0.2/24")},
      AddRoute{{.destination = *net::Prefix::parse("::/0"),
                .table = 21079,
                .kind = RouteKind::kUnreachable,
                .metric = UINT32_MAX}},
      AddRule{rule},
      AddTable{"inet ringway_rw0", ""},
      SetSysctl{"net/ipv4/ip_forward", "1", "0"},
      SetSysctl{"net/ipv4/conf/e0.5/forwarding", std::nullopt, "1"},
  };
}

TEST_F(HostJournalTest, RemembersEveryKindOfChange) {
  {
    const auto journal = open();
    for (const HostChange& change : one_of_each())
      ASSERT_TRUE(journal->append(change));
  }
  const auto journal = open();
  ASSERT_EQ(journal->entries().size(), one_of_each().size());
  for (std::size_t i = 0; i < one_of_each().size(); ++i) {
    EXPECT_EQ(change_to_json(journal->entries()[i].change), change_to_json(one_of_each()[i]));
  }
}

TEST_F(HostJournalTest, ForgetsWhatWasUndone) {
  {
    const auto journal = open();
    for (const HostChange& change : one_of_each())
      ASSERT_TRUE(journal->append(change));
    ASSERT_TRUE(journal->mark_undone(journal->entries()[1].id));
  }
  const auto journal = open();
  EXPECT_EQ(journal->entries().size(), one_of_each().size() - 1);
  EXPECT_EQ(journal->find(change_key(LinkUp{3, false})), nullptr);
  EXPECT_NE(journal->find(change_key(LinkMtu{3, 1, 2})), nullptr);
}

TEST_F(HostJournalTest, RetractsTheLastChangeOnly) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->append(one_of_each()[0]));
    ASSERT_TRUE(journal->append(one_of_each()[1]));
    journal->retract_last();
    ASSERT_TRUE(journal->append(one_of_each()[2]));
  }
  const auto journal = open();
  ASSERT_EQ(journal->entries().size(), 2U);
  EXPECT_EQ(change_to_json(journal->entries()[1].change), change_to_json(one_of_each()[2]));
}

TEST_F(HostJournalTest, AnEmptyJournalLeavesNoFile) {
  { const auto journal = open(); }
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(HostJournalTest, ALineCutOffByACrashWasNotBegun) {
  {
    const auto journal = open();
    for (const HostChange& change : one_of_each())
      ASSERT_TRUE(journal->append(change));
  }
  const std::string whole = text();
  for (std::size_t cut = 1; cut < 60; ++cut) {
    write(whole.substr(0, whole.size() - cut));
    const auto journal = open();
    ASSERT_NE(journal, nullptr);
    EXPECT_EQ(journal->entries().size(), one_of_each().size() - 1) << cut;
  }
}

TEST_F(HostJournalTest, DiscardsTheJournalOfAnEarlierBootOrAnotherNamespace) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->append(one_of_each()[0]));
  }
  const std::string whole = text();
  for (const char* field : {"\"boot\":\"", "\"network\":"}) {
    std::string changed = whole;
    char& digit = changed[changed.find(field) + std::string(field).size()];
    digit = digit == '1' ? '2' : '1';
    write(changed);
    EXPECT_TRUE(open()->entries().empty()) << field;
  }
}

TEST_F(HostJournalTest, RefusesWhatItCannotReadAndLeavesItThere) {
  { ASSERT_TRUE(open()->append(one_of_each()[0])); }
  const std::string header = text().substr(0, text().find('\n') + 1);
  for (const std::string& content :
       {std::string("something else\n"), std::string("{\"host_journal\":2}\n"), header + "{}\n",
        header + "x\n", header + "{\"id\":1,\"do\":{\"change\":\"moon\"}}\n",
        header + "{\"id\":1,\"do\":{\"change\":\"mtu\",\"interface\":\"x\"}}\n",
        header +
            "{\"id\":1,\"do\":{\"change\":\"address\",\"interface\":1,\"address\":\"x\"}}\n"}) {
    write(content);
    const auto journal = HostJournal::open(state_directory_);
    ASSERT_FALSE(journal) << content;
    EXPECT_NE(journal.error().text().find(path().string()), std::string::npos);
    EXPECT_EQ(text(), content);
  }
}

TEST_F(HostJournalTest, RollsBackWhatWasAnnouncedButNeverDone) {
  const std::string before = snapshot();
  {
    const auto journal = open();
    for (const HostChange& change : one_of_each()) {
      if (std::holds_alternative<SetSysctl>(change)) continue;
      if (std::holds_alternative<LinkUp>(change) || std::holds_alternative<LinkMtu>(change))
        continue;
      ASSERT_TRUE(journal->append(change));
    }
  }
  auto netlink = Netlink::open();
  ASSERT_TRUE(netlink);
  const auto rolled_back = open()->roll_back(*netlink);
  EXPECT_TRUE(rolled_back) << rolled_back.error().text();
  EXPECT_TRUE(host_is(before));
}

}  // namespace
}  // namespace ringway::control
