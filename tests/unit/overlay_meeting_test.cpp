// Members of a private overlay, who know nobody, find each other under a name in a public place.

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "overlay/meeting/meeting.hpp"
#include "overlay/sim/modelled_meeting.hpp"
#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay {
namespace {

// The public DHT as it should be: a name holds one value of each publisher, for its time.
class PublicPlace {
 public:
  struct Entry {
    std::size_t publisher;
    std::vector<std::uint8_t> value;
    Instant until;
  };
  std::map<MeetingName, std::vector<Entry>> entries;
  Instant now = Instant::from_ns(0);

  void put(std::size_t publisher, const MeetingName& name, ConstBytes value, Duration ttl) {
    remove(publisher, name);
    entries[name].push_back({publisher, {value.begin(), value.end()}, now + ttl});
  }
  void remove(std::size_t publisher, const MeetingName& name) {
    std::erase_if(entries[name], [&](const Entry& each) { return each.publisher == publisher; });
  }
  [[nodiscard]] std::vector<std::vector<std::uint8_t>> get(const MeetingName& name) {
    std::vector<std::vector<std::uint8_t>> values;
    for (const Entry& entry : entries[name])
      if (entry.until > now) values.push_back(entry.value);
    return values;
  }
  [[nodiscard]] std::size_t values() const {
    std::size_t count = 0;
    for (const auto& [name, list] : entries)
      count += list.size();
    return count;
  }
};

// One node's way to it; fetches are answered when the test asks.
class OwnPlace final : public MeetingPlace {
 public:
  OwnPlace(PublicPlace& place, std::size_t node) : place_(place), node_(node) {}
  void publish(const MeetingName& name, ConstBytes value, Duration ttl) override {
    ++published;
    place_.put(node_, name, value, ttl);
  }
  void withdraw(const MeetingName& name) override { place_.remove(node_, name); }
  void fetch(const MeetingName& name) override {
    ++fetched;
    asked.push_back(name);
  }
  std::size_t published = 0;
  std::size_t fetched = 0;
  std::vector<MeetingName> asked;

 private:
  PublicPlace& place_;
  std::size_t node_;
};

class Meetings : public VillageTest {
 protected:
  struct Member {
    Member(PublicPlace& public_place, std::size_t node, const NodeId& id, std::uint8_t group)
        : rng(node + 100),
          secret({group}, rng),
          place(public_place, node),
          meeting(parameters, id, secret, place) {}
    MeetingParameters parameters;
    SeededRng rng;
    sim::ModelledMeetingSecret secret;
    OwnPlace place;
    Meeting meeting;
  };

  // A member at that eighth of the ring, who knows nobody.
  void add(std::uint8_t group = 1) {
    const std::size_t node = village_.add(eighth(members_.size()));
    village_.start(node);
    members_.push_back(std::make_unique<Member>(place_, node, eighth(node), group));
    members_.back()->meeting.start(village_.clock(), address_of(node));
  }
  static Candidates address_of(std::size_t node) {
    const std::uint8_t bytes[4] = {192, 0, 2, static_cast<std::uint8_t>(node)};
    Candidates candidates;
    candidates.add({net::IpAddress::v4(bytes), 51820});
    return candidates;
  }
  void pass(Duration duration) {
    for (Duration passed; passed < duration; passed = passed + Duration::seconds(1)) {
      village_.pass(Duration::seconds(1));
      place_.now = village_.clock().now;
      for (std::size_t node = 0; node < members_.size(); ++node)
        serve(node);
    }
  }
  void serve(std::size_t node) {
    Member& member = *members_[node];
    if (member.meeting.next_deadline() <= village_.clock().now)
      member.meeting.tick(village_.clock(), village_[node].in_ring());
    for (const MeetingName& name : std::exchange(member.place.asked, {}))
      for (const Contact& contact : member.meeting.on_fetched(name, place_.get(name)))
        village_[node].meet(village_.clock(), contact);
    village_.settle();
  }

  PublicPlace place_;
  std::vector<std::unique_ptr<Member>> members_;
};

TEST_F(Meetings, MembersWhoKnowNobodyFormARing) {
  for (int i = 0; i < 5; ++i)
    add();
  pass(Duration::seconds(30));
  for (std::size_t node = 0; node < 5; ++node) {
    EXPECT_TRUE(village_[node].in_ring()) << node;
    EXPECT_TRUE(village_.near(node, (node + 1) % 5)) << node;
  }
}

TEST_F(Meetings, ALateMemberFindsTheOthers) {
  add();
  add();
  pass(Duration::seconds(60));
  add();
  pass(Duration::seconds(20));
  EXPECT_TRUE(village_.near(2, 0));
  EXPECT_TRUE(village_.near(2, 1));
}

TEST_F(Meetings, OtherGroupsDoNotSeeThem) {
  add(1);
  add(1);
  add(2);
  pass(Duration::seconds(60));
  EXPECT_TRUE(village_.near(0, 1));
  EXPECT_EQ(village_[2].links().size(), 0U);
}

TEST_F(Meetings, LookOftenUntilConnectedAndThenSeldom) {
  add();
  pass(Duration::seconds(300));  // away from the border of two epochs, where both are looked at
  const std::size_t at_first = members_[0]->place.fetched;
  pass(Duration::seconds(100));
  EXPECT_EQ(members_[0]->place.fetched - at_first, 10U);  // alone
  add();
  pass(Duration::seconds(30));
  const std::size_t before = members_[0]->place.fetched;
  pass(Duration::seconds(600));
  EXPECT_LE(members_[0]->place.fetched - before, 2U);
}

TEST_F(Meetings, PublishAnewBeforeTheValueDies) {
  add();
  pass(Duration::seconds(3 * 3600 + 60));
  EXPECT_EQ(members_[0]->place.published, 7U);  // at once, and every half hour
  EXPECT_EQ(place_.values(), 1U);
}

TEST_F(Meetings, MoveToAnotherNameWithTheEpochAndLeaveNothingBehind) {
  add();
  const auto name_now = [&] {
    return members_[0]->secret.name(static_cast<std::uint64_t>(
        village_.clock().wall.unix_ns() / MeetingParameters().epoch.count_ns()));
  };
  pass(Duration::seconds(10));
  const MeetingName first = name_now();
  pass(MeetingParameters().epoch);
  EXPECT_NE(name_now(), first);
  EXPECT_TRUE(place_.get(first).empty());
  EXPECT_EQ(place_.get(name_now()).size(), 1U);
}

TEST_F(Meetings, TakeTheirValueBackWhenTheyLeave) {
  add();
  pass(Duration::seconds(10));
  EXPECT_EQ(place_.values(), 1U);
  members_[0]->meeting.leave();
  EXPECT_EQ(place_.values(), 0U);
  EXPECT_EQ(members_[0]->meeting.next_deadline(), Instant::never());
}

TEST_F(Meetings, RefuseWhatIsNoMembers) {
  add();
  add();
  pass(Duration::seconds(1));
  Member& member = *members_[0];
  const std::uint64_t epoch = static_cast<std::uint64_t>(village_.clock().wall.unix_ns() /
                                                         MeetingParameters().epoch.count_ns());
  const MeetingName name = member.secret.name(epoch);
  SeededRng rng(9);
  sim::ModelledMeetingSecret stranger({7}, rng);
  const auto plain = encode_member({eighth(3), address_of(3)});
  auto changed = member.secret.seal(epoch, plain);
  changed.back() ^= 1;
  auto lying = plain;
  lying[1 + NodeId::kBytes] = 200;  // candidates
  auto without = encode_member({eighth(3), {}});
  const std::vector<std::vector<std::uint8_t>> values = {
      {},
      std::vector<std::uint8_t>(40, 1),
      stranger.seal(epoch, plain),
      changed,
      member.secret.seal(epoch - 1, plain),  // of another epoch, put here by who cannot open it
      member.secret.seal(epoch, lying),
      member.secret.seal(epoch, without),
      member.secret.seal(epoch, {plain.data(), plain.size() - 1}),
  };
  EXPECT_TRUE(member.meeting.on_fetched(name, values).empty());
  EXPECT_EQ(member.meeting.refused(), values.size());
  // What was not asked for is not looked at.
  EXPECT_TRUE(
      member.meeting.on_fetched(member.secret.name(epoch + 5), {member.secret.seal(epoch, plain)})
          .empty());
  const auto members = member.meeting.on_fetched(name, {member.secret.seal(epoch, plain)});
  ASSERT_EQ(members.size(), 1U);
  EXPECT_EQ(members[0], (Contact{eighth(3), address_of(3)}));
}

TEST_F(Meetings, ValuesOfAllMembersAreEquallyLong) {
  add();
  pass(Duration::seconds(1));
  Candidates many;
  for (std::uint16_t port = 1; port <= kMaxCandidates; ++port)
    many.add({net::Endpoint::parse("[2001:db8::1]:1")->address, port});
  const auto small = encode_member({eighth(1), address_of(1)});
  const auto large = encode_member({eighth(1), many});
  EXPECT_EQ(members_[0]->secret.seal(1, small).size(), members_[0]->secret.seal(1, large).size());
  EXPECT_EQ(parse_member(large)->candidates, many);
}

TEST_F(Meetings, AreBoundedInWhomTheyKnow) {
  add();
  const std::size_t opens = village_.opens;
  for (std::uint8_t i = 1; i < 200; ++i)
    village_[0].meet(village_.clock(), {NodeId(Distance{0, 0, i}), address_of(0)});
  village_.pass(Duration::seconds(60));
  EXPECT_EQ(village_.opens, opens);  // our own address
}

}  // namespace
}  // namespace ringway::overlay
