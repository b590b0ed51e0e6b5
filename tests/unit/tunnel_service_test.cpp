#include "controlplane/tunnel_control/tunnel_service.hpp"

#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace ringway::control {
namespace {

class NoTimestamps : public TimestampStore {
 public:
  void store_sent(const tunnel::Tai64n& /*timestamp*/) override {}
  void store_received(const tunnel::PublicKey& /*peer*/,
                      const tunnel::Tai64n& /*timestamp*/) override {}
  [[nodiscard]] tunnel::Tai64n last_sent() const override { return {}; }
  [[nodiscard]] tunnel::Tai64n last_received(const tunnel::PublicKey& /*peer*/) const override {
    return {};
  }
};

// Two workers, played by the test.
class CrewService : public testing::Test {
 protected:
  static constexpr std::uint32_t kSecondWorkers = 1U << 28;  // as cursors name it

  static tunnel::PrivateKey private_key() {
    tunnel::PrivateKey key;
    key.data()[0] = 8;
    return key;
  }
  // Answers the oldest question that the worker has.
  void answer(std::size_t worker, std::uint16_t count, std::uint32_t cursor) {
    auto command = links_[worker].commands.try_pop();
    ASSERT_TRUE(command && std::holds_alternative<command::ListMappings>(*command));
    auto page = std::move(std::get<command::ListMappings>(*command).page);
    page->count = count;
    page->cursor = cursor;
    ASSERT_TRUE(links_[worker].events.try_push(event::MappingsListed{std::move(page)}));
    service_.handle_events(Instant::from_ns(1), WallTime{});
  }

  std::array<ControlLink, 2> links_;
  std::array<ControlLink*, 2> ends_{&links_[0], &links_[1]};
  NoTimestamps timestamps_;
  SeededRng rng_{1};
  TunnelService service_{private_key(), 4, ends_, timestamps_, rng_};
};

TEST_F(CrewService, EveryoneGetsTheMappingsHeAskedForWhicheverWorkerIsFaster) {
  struct Heard {
    std::size_t count = 0;
    std::uint32_t next = 0;
    bool operator==(const Heard&) const = default;
  };
  std::vector<Heard> first;
  std::vector<Heard> second;
  const auto into = [](std::vector<Heard>& heard) {
    return [&heard](const MappingPage& page) { heard.push_back({page.count, page.cursor}); };
  };
  service_.request_mappings(0, into(first));
  service_.request_mappings(kSecondWorkers, into(second));
  service_.request_mappings(5, into(first));
  answer(1, 7, 0);
  EXPECT_EQ(second, (std::vector<Heard>{{7, 0}}));
  EXPECT_TRUE(first.empty());
  answer(0, 3, 5);
  answer(0, 4, 0);
  EXPECT_EQ(first, (std::vector<Heard>{{3, 5}, {4, kSecondWorkers}}));
  EXPECT_EQ(second.size(), 1U);
  // A cursor of nobody's ends the list.
  service_.request_mappings(2 * kSecondWorkers, into(second));
  EXPECT_EQ(second.back(), (Heard{0, 0}));
}

}  // namespace
}  // namespace ringway::control
