// The external ports of one shard: which mapping has which port, which rest, and whose blocks they
// are. Each external address has three pools (TCP and UDP ports, ICMP identifiers); a pool is cut
// into blocks, and a subscriber's new mappings take ports at random from blocks of its own (RFC
// 6056, 7422), all on one address a family (RFC 4787 REQ-2). No port has two mappings (REQ-3).
//
// A block whose last port was given back rests as a whole before another subscriber can get it
// (RFC 6888 REQ-8). Within a subscriber's blocks rested ports come first; one that still rests is
// taken only where no new block is to be had (exception B: the ports stay the same subscriber's).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/lazy_array.hpp"
#include "base/rng.hpp"
#include "dataplane/nat/mapping.hpp"
#include "dataplane/nat/nat.hpp"
#include "dataplane/nat/random_pool.hpp"

namespace ringway::nat {

// Blocks that were given out or came back, for the log. Bounded; what does not fit is counted.
class BlockEvents {
 public:
  // All blocks of two addresses and all unprivileged ports at once, as a restart gives them anew.
  static constexpr std::size_t kCapacity = 8192;

  void push(const BlockEvent& event) {
    if (count_ == kCapacity) {
      ++lost_;
      return;
    }
    events_[(first_ + count_++) % kCapacity] = event;
  }
  [[nodiscard]] bool poll(BlockEvent& event) {
    if (count_ == 0) return false;
    event = events_[first_];
    first_ = (first_ + 1) % kCapacity;
    --count_;
    return true;
  }
  void lose_all() {
    lost_ += count_;
    count_ = 0;
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  std::vector<BlockEvent> events_ = std::vector<BlockEvent>(kCapacity);
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::uint64_t lost_ = 0;
};

class PortTable {
 public:
  enum class Answer : std::uint8_t { kGranted, kExhausted, kLimit, kNoAddress };
  struct Grant {
    Answer answer = Answer::kExhausted;
    std::uint16_t address = 0;  // an index of Config::external_addresses
    std::uint16_t port = 0;
  };

  PortTable(const Config& config, RandomPool& random);

  // The mapping that has a port; kNoSlot when none.
  [[nodiscard]] Slot mapping_at(std::uint16_t address, Transport transport,
                                std::uint16_t port) const {
    const std::uint32_t entry = entries_[entry_at(address, transport, port)];
    return (entry & kResting) == 0 ? entry : kNoSlot;
  }
  void prefetch(std::uint16_t address, Transport transport, std::uint16_t port) const {
    __builtin_prefetch(&entries_[entry_at(address, transport, port)]);
  }
  // Within this shard's range: no other's packet comes here.
  [[nodiscard]] bool in_range(std::uint16_t port) const {
    return port >= first_port_ && port <= last_port_;
  }

  // A port for a new mapping, of `like`'s parity where there is one (RFC 4787 REQ-4). The caller
  // follows with assign() before anything else.
  [[nodiscard]] Grant choose(std::uint32_t subscriber, net::Family family, Transport transport,
                             std::uint16_t like, Ticks now);
  // Finds out whether exactly this port can be had, and gives its block to the subscriber.
  [[nodiscard]] bool claim(std::uint32_t subscriber, std::uint16_t address, Transport transport,
                           std::uint16_t port, Ticks now);
  void assign(std::uint16_t address, Transport transport, std::uint16_t port, Slot slot);
  void release(std::uint16_t address, Transport transport, std::uint16_t port, Ticks now);
  // A forward's port: outside all blocks' accounts, in the range or not.
  void pin(std::uint16_t address, Transport transport, std::uint16_t port, Slot slot);
  void unpin(std::uint16_t address, Transport transport, std::uint16_t port);

  // From now on this one stands there. None of its ports has a mapping but forwards.
  void set_address(std::uint16_t place, const net::IpAddress& address) {
    addresses_[place] = address;
  }

  // Calls visit(Slot) for each mapping in the subscriber's blocks. visit may release that mapping.
  template <typename Visit>
  void for_each_mapping(std::uint32_t subscriber, Visit&& visit);

  [[nodiscard]] std::uint64_t blocks_in_use() const { return blocks_in_use_; }
  [[nodiscard]] std::uint64_t blocks_total() const { return blocks_.size(); }
  [[nodiscard]] BlockEvents& events() { return events_; }
  [[nodiscard]] const BlockEvents& events() const { return events_; }

 private:
  // An entry is 0 (free), a slot, or kResting with the time since when (31 bits of ticks).
  static constexpr std::uint32_t kResting = 1U << 31;
  static constexpr std::uint32_t kNoBlock = UINT32_MAX;
  // Of a subscriber's blocks, how many are searched for a rested port before a new one is opened.
  static constexpr unsigned kBlocksSearched = 4;

  struct Block {
    std::uint32_t owner = UINT32_MAX;
    // A subscriber's list: blocks that may have a free port stand before full ones. Free blocks
    // that rest: the pool's queue.
    std::uint32_t next = kNoBlock;
    std::uint32_t previous = kNoBlock;
    Ticks freed_at = 0;
    std::uint32_t ready_at = kNoBlock;  // in the pool's list of blocks to be had, if it is there
    std::uint16_t used = 0;
  };
  struct Pool {
    std::vector<std::uint32_t> ready;
    std::uint32_t resting_head = kNoBlock;  // the longest-resting first
    std::uint32_t resting_tail = kNoBlock;
    std::size_t resting = 0;  // blocks in that queue

    [[nodiscard]] std::size_t free_blocks() const { return ready.size() + resting; }
  };
  // A subscriber's blocks of one family and transport.
  struct Holding {
    std::uint32_t head = kNoBlock;
    std::uint32_t tail = kNoBlock;
    std::uint32_t blocks = 0;
  };
  struct Subscriber {
    std::array<std::array<Holding, kTransports>, kFamilies> holdings;
    std::array<std::uint16_t, kFamilies> address{};  // while there are blocks of the family
    std::array<std::uint32_t, kFamilies> blocks{};
  };

  [[nodiscard]] static std::size_t pool_of(std::uint16_t address, Transport transport) {
    return address * kTransports + static_cast<std::size_t>(transport);
  }
  [[nodiscard]] static std::size_t entry_at(std::uint16_t address, Transport transport,
                                            std::uint16_t port) {
    return pool_of(address, transport) << 16 | port;
  }
  [[nodiscard]] std::uint32_t block_of(std::uint16_t address, Transport transport,
                                       std::uint16_t port) const;
  [[nodiscard]] std::uint16_t first_port_of(std::uint32_t block) const;
  [[nodiscard]] Holding& holding_of(std::uint32_t block);
  [[nodiscard]] bool rested(std::uint32_t entry, Ticks now) const;
  // 0: none.
  [[nodiscard]] std::uint16_t search(std::uint32_t block, std::uint16_t like, Ticks now,
                                     bool resting_too);
  [[nodiscard]] std::uint16_t search_holding(Holding& holding, std::uint16_t like, Ticks now);
  [[nodiscard]] bool pick_address(Subscriber& subscriber, net::Family family, Transport transport,
                                  Ticks now);
  void wake_rested(Pool& pool, Ticks now);
  void make_ready(Pool& pool, std::uint32_t block);
  void take_ready(Pool& pool, std::uint32_t block);
  void give_block(std::uint32_t block, std::uint32_t subscriber);
  void return_block(std::uint32_t block, Ticks now);
  void push_front(Holding& holding, std::uint32_t block);
  void push_back(Holding& holding, std::uint32_t block);
  void unlink(Holding& holding, std::uint32_t block);
  void note(std::uint32_t block, bool allocated);

  RandomPool& random_;
  std::vector<net::IpAddress> addresses_;
  std::uint16_t first_port_;
  std::uint16_t last_port_;
  std::uint16_t block_ports_;
  std::uint32_t blocks_per_pool_;
  std::uint32_t max_blocks_;  // of a holding
  Ticks rest_;
  LazyArray<std::uint32_t> entries_;  // by pool and port
  std::vector<Block> blocks_;         // by pool and place in the range
  std::vector<Pool> pools_;
  std::vector<Subscriber> subscribers_;
  std::uint64_t blocks_in_use_ = 0;
  BlockEvents events_;
};

template <typename Visit>
void PortTable::for_each_mapping(std::uint32_t subscriber, Visit&& visit) {
  for (auto& family : subscribers_[subscriber].holdings) {
    for (Holding& holding : family) {
      for (std::uint32_t block = holding.head; block != kNoBlock;) {
        const std::uint32_t next = blocks_[block].next;
        const std::size_t pool = block / blocks_per_pool_;
        const std::uint16_t first = first_port_of(block);
        for (std::uint32_t port = first; port < std::uint32_t{first} + block_ports_; ++port) {
          const std::uint32_t entry = entries_[pool << 16 | port];
          if (entry != 0 && (entry & kResting) == 0) visit(entry);
        }
        block = next;
      }
    }
  }
}

}  // namespace ringway::nat
