#include "dataplane/session_slots.hpp"

#include <memory>
#include <variant>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/worker_state.hpp"
#include "tests/unit/samples.hpp"

namespace ringway {
namespace {

using testing_support::kStart;

io::MemoryPortConfig small_port(const char* name) {
  io::MemoryPortConfig config;
  config.name = name;
  config.queue_slots = 16;
  config.buffer_count = 16;
  return config;
}

class SessionSlots : public testing::Test {
 protected:
  static constexpr PeerId kPeer{1};
  static tunnel::Path path(std::uint8_t host) {
    const std::uint8_t address[] = {192, 0, 2, host};
    return {{net::IpAddress::v4(address), 1000}, {}, 0};
  }
  const tunnel::Path before_ = path(1);
  const tunnel::Path theirs_ = path(2);
  const tunnel::Path elsewhere_ = path(3);

  SessionSlots() : peer_(kPeer, true) { worker_.peers[kPeer.value] = &peer_; }
  // The worker's tables do not own what is still in the peer's slots.
  ~SessionSlots() override { worker_.peers[kPeer.value] = nullptr; }

  static WorkerOptions options() {
    WorkerOptions options;
    options.session_slot_bits = 8;
    options.max_peers = 16;
    options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
    return options;
  }
  static std::unique_ptr<tunnel::Session> answered(std::uint32_t local_index) {
    tunnel::SessionKeys keys;
    keys.peer = kPeer;
    keys.local_index = ReceiverIndex{local_index};
    keys.created = kStart;
    return std::make_unique<tunnel::Session>(keys);
  }
  void fill_events() {
    while (worker_.push_event(event::SessionWanted{kPeer, false})) {
    }
  }
  // Empties the ring; how many confirmations were in it.
  int drain_confirmations() {
    int confirmations = 0;
    while (const auto event = link_.events.try_pop())
      confirmations += std::holds_alternative<event::SessionConfirmed>(*event) ? 1 : 0;
    return confirmations;
  }

  // What the only confirmation in the ring says.
  net::Endpoint confirmed_from() {
    net::Endpoint from;
    while (const auto event = link_.events.try_pop()) {
      if (const auto* confirmed = std::get_if<event::SessionConfirmed>(&*event)) {
        from = confirmed->answered;
      }
    }
    return from;
  }

  SeededRng rng_{1};
  io::MemoryPort inner_{small_port("inner")};
  io::MemoryPort outer_{small_port("outer")};
  ControlLink link_;
  WorkerState worker_{options(), inner_, outer_, link_, rng_};
  Peer peer_;
};

TEST_F(SessionSlots, AnsweredSessionWaitsUntilItIsConfirmed) {
  install_session(worker_, answered(7), theirs_.remote, kStart);
  EXPECT_EQ(peer_.current, nullptr);
  EXPECT_EQ(worker_.session_entry(ReceiverIndex{7}).session, peer_.next.get());
  confirm_next_session(worker_, peer_, theirs_);
  EXPECT_EQ(peer_.next, nullptr);
  EXPECT_EQ(worker_.session_entry(ReceiverIndex{7}).session, peer_.current.get());
  EXPECT_EQ(drain_confirmations(), 1);
  EXPECT_FALSE(peer_.confirmation_owed);
}

TEST_F(SessionSlots, SessionsSayWhetherTheirPeerIsLimited) {
  install_session(worker_, answered(7), theirs_.remote, kStart);
  confirm_next_session(worker_, peer_, theirs_);
  EXPECT_FALSE(peer_.current->limited());
  peer_.set_limits({.up_mbps = 1});
  EXPECT_TRUE(peer_.current->limited());
  install_session(worker_, answered(8), theirs_.remote, kStart);
  EXPECT_TRUE(peer_.next->limited());
  peer_.set_limits({});
  EXPECT_FALSE(peer_.current->limited());
  EXPECT_FALSE(peer_.next->limited());
}

TEST_F(SessionSlots, PeerMovesToWhereItConfirmsFromIfOurResponseWentThere) {
  peer_.paths.prefer(before_);
  install_session(worker_, answered(7), theirs_.remote, kStart);
  EXPECT_TRUE(peer_.paths.best().same_remote(before_.remote));
  confirm_next_session(worker_, peer_, theirs_);
  EXPECT_TRUE(peer_.paths.best().same_remote(theirs_.remote));
  EXPECT_EQ(confirmed_from(), theirs_.remote);
}

TEST_F(SessionSlots, PeerThatConfirmsFromElsewhereDoesNotMove) {
  peer_.paths.prefer(before_);
  install_session(worker_, answered(7), theirs_.remote, kStart);
  confirm_next_session(worker_, peer_, elsewhere_);
  EXPECT_TRUE(peer_.paths.best().same_remote(before_.remote));
  EXPECT_FALSE(confirmed_from().valid());
}

TEST_F(SessionSlots, ConfirmationThatFoundTheRingFullIsSaidLater) {
  install_session(worker_, answered(7), theirs_.remote, kStart);
  fill_events();
  confirm_next_session(worker_, peer_, theirs_);
  EXPECT_TRUE(peer_.confirmation_owed);
  EXPECT_EQ(drain_confirmations(), 0);
  report_confirmation(worker_, peer_);
  EXPECT_FALSE(peer_.confirmation_owed);
  EXPECT_EQ(drain_confirmations(), 1);
}

}  // namespace
}  // namespace ringway
