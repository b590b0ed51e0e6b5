// The keeper's rounds, with a worker that the test plays.
#include "controlplane/nat_state/state_keeper.hpp"

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "dataplane/tunnel/primitives.hpp"
#include "tests/sim/memory_timestamps.hpp"

namespace ringway::control {
namespace {

class StateKeeperTest : public testing::Test {
 protected:
  StateKeeperTest() {
    std::string pattern = testing::TempDir() + "ringway-keeper-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    TunnelPeer peer;
    peer.settings.public_key = peer_key_;
    peer_ = *service_.add_peer(peer, Instant::now(), {});
    keeper_ = std::make_unique<StateKeeper>(directory_, true, service_, [this] {
      return std::vector<StateKeeper::KnownPeer>{{peer_, peer_key_}};
    });
  }
  ~StateKeeperTest() override { std::filesystem::remove_all(directory_); }

  static tunnel::PrivateKey key() {
    tunnel::PrivateKey key;
    SeededRng(9).fill(key.span());
    return key;
  }

  // What the worker has been asked for; null: nothing.
  std::unique_ptr<MappingPage> asked() {
    std::unique_ptr<MappingPage> page;
    while (auto command = link_.commands.try_pop()) {
      if (auto* list = std::get_if<command::ListMappings>(&*command)) page = std::move(list->page);
    }
    return page;
  }
  // All that there is, on one page.
  void answer(std::unique_ptr<MappingPage> page, std::size_t mappings) {
    ASSERT_NE(page, nullptr);
    page->at = Instant::now();
    page->cursor = 0;
    page->count = mappings;
    for (std::size_t i = 0; i < mappings; ++i) {
      page->records[i] = {17,
                          peer_,
                          *net::Endpoint::parse("10.77.0.2:" + std::to_string(4000 + i)),
                          *net::Endpoint::parse("203.0.113.1:" + std::to_string(20'000 + i)),
                          {},
                          Duration::seconds(300)};
    }
    ASSERT_TRUE(link_.events.try_push(event::MappingsListed{std::move(page)}));
    service_.handle_events(Instant::now(), WallTime::now());
  }
  std::size_t kept_mappings() {
    const auto state = load_kept_state(directory_);
    return state ? state->mappings.size() : 0;
  }

  const tunnel::PublicKey peer_key_ = tunnel::public_key_of(key());
  PeerId peer_;
  std::string directory_;
  SeededRng rng_{5};
  ControlLink link_;
  std::array<ControlLink*, 1> links_{&link_};
  sim::MemoryTimestamps timestamps_;
  TunnelService service_{tunnel::PrivateKey{}, 8, links_, timestamps_, rng_};
  std::unique_ptr<StateKeeper> keeper_;
};

// On a busy machine the worker comes late; that is no reason to keep an older state for longer.
TEST_F(StateKeeperTest, NextRoundDoesNotWaitForTheTimeTheWorkerTook) {
  keeper_->tick(Instant::now());
  auto page = asked();
  const Instant before = Instant::now();
  ::usleep(100'000);
  answer(std::move(page), 3);
  EXPECT_EQ(kept_mappings(), 3U);
  EXPECT_LT(keeper_->next_deadline() - before, Duration::seconds(4)) << "49 times as long: 5 s";
}

TEST_F(StateKeeperTest, LastRoundHasWhatCameAfterTheOneBefore) {
  keeper_->tick(Instant::now());
  answer(asked(), 1);
  keeper_->tick(Instant::now());
  EXPECT_FALSE(keeper_->under_way()) << "none is due";
  keeper_->begin_last(Instant::now());
  EXPECT_TRUE(keeper_->under_way());
  answer(asked(), 2);
  EXPECT_FALSE(keeper_->under_way());
  EXPECT_EQ(kept_mappings(), 2U);
}

TEST_F(StateKeeperTest, LastRoundTakesThePlaceOfTheOneUnderWay) {
  keeper_->tick(Instant::now());
  auto late = asked();
  keeper_->begin_last(Instant::now());
  auto page = asked();
  answer(std::move(late), 1);
  EXPECT_TRUE(keeper_->under_way());
  answer(std::move(page), 2);
  EXPECT_EQ(kept_mappings(), 2U);
}

}  // namespace
}  // namespace ringway::control
