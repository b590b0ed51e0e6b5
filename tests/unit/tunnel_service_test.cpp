// The service with several workers, of which the test plays every one: what each is told, and what
// becomes of their answers. What goes on with one worker is tests/sim's.
#include "controlplane/tunnel_control/tunnel_service.hpp"

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/tunnel/primitives.hpp"
#include "tests/sim/memory_timestamps.hpp"

namespace ringway::control {
namespace {

using testing::ElementsAre;

constexpr Instant kNow = Instant::from_ns(1'000'000'000'000);
const WallTime kWall = WallTime::from_unix_ns(1'700'000'000'000'000'000);

class TunnelServiceTest : public testing::Test {
 protected:
  static constexpr std::size_t kWorkers = 2;

  static tunnel::PrivateKey fresh_key(Rng& rng) {
    tunnel::PrivateKey key;
    rng.fill(key.span());
    return key;
  }
  PeerId add_peer(bool with_endpoint, std::optional<WorkerId> owner = {}) {
    TunnelPeer peer;
    peer.settings.public_key = tunnel::public_key_of(fresh_key(rng_));
    if (with_endpoint) peer.endpoint = *net::Endpoint::parse("192.0.2.1:51820");
    const auto id = service_.add_peer(peer, kNow, owner);
    EXPECT_TRUE(id);
    return *id;
  }
  // What worker `i` was told of one kind since it was asked last; the rest is passed over.
  template <typename Told>
  std::vector<Told> told(std::size_t i) {
    std::vector<Told> all;
    while (auto command = links_[i].commands.try_pop()) {
      if (auto* one = std::get_if<Told>(&*command)) all.push_back(std::move(*one));
    }
    return all;
  }
  // Of a node with this key, to the service.
  tunnel::HandshakeBytes initiation(const tunnel::PrivateKey& key) {
    tunnel::ReceiverIndexAllocator indices(4, rng_);
    tunnel::Handshaker handshaker(key, tunnel::Tai64n{}, indices, rng_);
    tunnel::PeerSettings peer;
    peer.public_key = service_.public_key();
    EXPECT_TRUE(handshaker.add_peer(PeerId{0}, peer, {}));
    handshaker.request_session(PeerId{0}, kNow, kWall, true);
    tunnel::HandshakeOutput output;
    while (handshaker.poll_output(output)) {
      if (auto* send = std::get_if<tunnel::handshake_output::SendToPeer>(&output)) {
        return send->message;
      }
    }
    ADD_FAILURE() << "no initiation";
    return {};
  }
  void answer(std::size_t i, Event&& event) {
    ASSERT_TRUE(links_[i].events.try_push(std::move(event)));
  }
  void hear() { service_.handle_events(kNow, kWall); }

  SeededRng rng_{5};
  std::array<ControlLink, kWorkers> links_;
  std::array<ControlLink*, kWorkers> link_pointers_{&links_[0], &links_[1]};
  sim::MemoryTimestamps timestamps_;
  TunnelService service_{fresh_key(rng_), 8, link_pointers_, timestamps_, rng_};
};

TEST_F(TunnelServiceTest, PeersToBeReachedAreSharedOutAndTheOthersAreToldWhere) {
  const PeerId first = add_peer(true);
  const PeerId second = add_peer(true);
  std::vector<Command> to_first;
  while (auto command = links_[0].commands.try_pop())
    to_first.push_back(std::move(*command));
  std::vector<PeerId> added;
  std::vector<PeerId> owned_by_second;
  for (const Command& command : to_first) {
    if (const auto* add = std::get_if<command::AddPeer>(&command)) added.push_back(add->peer->id);
    if (const auto* set = std::get_if<command::SetPeerOwner>(&command)) {
      EXPECT_EQ(set->owner, WorkerId{1});
      owned_by_second.push_back(set->peer);
    }
  }
  EXPECT_THAT(added, ElementsAre(first));
  EXPECT_THAT(owned_by_second, ElementsAre(second));
}

TEST_F(TunnelServiceTest, WhoeverHasNoEndpointIsNobodysUntilItIsHeardOf) {
  const PeerId peer = add_peer(false);
  EXPECT_TRUE(told<command::AddPeer>(0).empty());
  EXPECT_TRUE(told<command::AddPeer>(1).empty());
  service_.assume_endpoint(peer, *net::Endpoint::parse("192.0.2.1:51820"));
  EXPECT_EQ(told<command::AddPeer>(0).size() + told<command::AddPeer>(1).size(), 1U);
}

TEST_F(TunnelServiceTest, WhoeverHadAWorkerGetsItAgain) {
  (void)add_peer(false, WorkerId{1});
  (void)add_peer(true, WorkerId{1});  // though the other one has fewer
  EXPECT_TRUE(told<command::AddPeer>(0).empty());
  EXPECT_EQ(told<command::AddPeer>(1).size(), 2U);
  EXPECT_EQ(service_.peers_of(WorkerId{1}), 2U);
}

TEST_F(TunnelServiceTest, ARemovedPeerNoLongerCountsAsLoad) {
  const PeerId first = add_peer(true);
  (void)add_peer(true);
  service_.remove_peer(first);
  EXPECT_EQ(service_.peers_of(WorkerId{0}), 0U);
  (void)add_peer(true);
  EXPECT_EQ(service_.peers_of(WorkerId{0}), 1U);
}

TEST_F(TunnelServiceTest, ANewcomerStaysWhereItArrivedUnlessThatIsUnfair) {
  // Two of them, both at the second worker.
  for (int i = 0; i < 2; ++i) {
    const auto key = fresh_key(rng_);
    TunnelPeer peer;
    peer.settings.public_key = tunnel::public_key_of(key);
    ASSERT_TRUE(service_.add_peer(peer, kNow));
    HandshakeReceived received{{*net::Endpoint::parse("192.0.2.1:4000"), {}, 0}, {}};
    received.message = initiation(key);
    ASSERT_TRUE(links_[1].handshakes.try_push(std::move(received)));
    hear();
    EXPECT_EQ(service_.peers_of(WorkerId{1}), 1U);
    EXPECT_EQ(service_.peers_of(WorkerId{0}), static_cast<std::size_t>(i));
    EXPECT_EQ(told<command::InstallSession>(i == 0 ? 1 : 0).size(), 1U);
    EXPECT_TRUE(told<command::InstallSession>(i == 0 ? 0 : 1).empty());
  }
}

TEST_F(TunnelServiceTest, ASnapshotIsCompleteWhenEveryWorkerHasAnswered) {
  const PeerId peers[] = {add_peer(true), add_peer(true), add_peer(false)};
  std::vector<std::size_t> counts;
  std::vector<std::uint64_t> mappings;
  for (int request = 0; request < 2; ++request) {
    service_.request_snapshot([&](const WorkerSnapshot& snapshot) {
      counts.push_back(snapshot.peers.size());
      mappings.push_back(snapshot.nat.mappings);
    });
  }
  // The second worker is ahead by one request.
  auto late = told<command::Snapshot>(0);
  auto early = told<command::Snapshot>(1);
  ASSERT_TRUE(late.size() == 2 && early.size() == 2);
  std::uint64_t live = 1;
  for (auto& part : early) {
    part.snapshot->nat.mappings = live++;
    answer(1, event::SnapshotTaken{std::move(part.snapshot)});
  }
  hear();
  EXPECT_TRUE(counts.empty());
  for (auto& part : late) {
    part.snapshot->nat.mappings = 10 * live++;
    answer(0, event::SnapshotTaken{std::move(part.snapshot)});
  }
  hear();
  EXPECT_THAT(counts, ElementsAre(std::size(peers), std::size(peers)));
  EXPECT_THAT(mappings, ElementsAre(31U, 42U));
}

TEST_F(TunnelServiceTest, MappingsGoToWhoeverAskedInWhateverOrderWorkersAnswer) {
  std::uint32_t next = 0;
  const auto ask = [&](std::uint32_t cursor, std::size_t& heard) {
    service_.request_mappings(cursor, [&](const MappingPage& page) {
      heard = page.count;
      next = page.cursor;
    });
  };
  const auto reply = [&](std::size_t worker, std::size_t count, std::uint32_t cursor) {
    auto lists = told<command::ListMappings>(worker);
    ASSERT_EQ(lists.size(), 1U);
    lists[0].page->count = count;
    lists[0].page->cursor = cursor;
    answer(worker, event::MappingsListed{std::move(lists[0].page)});
    hear();
  };
  std::size_t heard = 0;
  ask(0, heard);
  reply(0, 1, 0);  // the first worker's end is the second's beginning
  EXPECT_NE(next, 0U);
  const std::uint32_t second_worker = next;

  std::size_t from_first = 0;
  std::size_t from_second = 0;
  ask(0, from_first);
  ask(second_worker, from_second);
  reply(1, 7, 0);
  EXPECT_EQ(next, 0U) << "all were listed";
  reply(0, 5, 3);
  EXPECT_EQ(from_first, 5U);
  EXPECT_EQ(from_second, 7U);
}

}  // namespace
}  // namespace ringway::control
