#include "dataplane/nat/ports.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "dataplane/nat/address_policy.hpp"

namespace ringway::nat {

PortTable::PortTable(const Config& config, RandomPool& random)
    : random_(random),
      addresses_(config.external_addresses),
      first_port_(config.first_port),
      last_port_(config.last_port),
      block_ports_(config.block_ports),
      rest_(ticks_in(config.port_rest)),
      entries_(addresses_.size() * kTransports << 16),
      subscribers_(config.max_subscribers) {
  CHECK(first_port_ > 0 && first_port_ <= last_port_);
  const std::uint32_t ports = last_port_ - first_port_ + 1U;
  CHECK(block_ports_ > 0 && block_ports_ <= ports);
  blocks_per_pool_ = ports / block_ports_;
  max_blocks_ = std::max(config.max_ports_per_subscriber / block_ports_, 1U);
  pools_.resize(addresses_.size() * kTransports);
  blocks_.resize(pools_.size() * blocks_per_pool_);
  for (std::uint32_t block = 0; block < blocks_.size(); ++block) {
    Pool& pool = pools_[block / blocks_per_pool_];
    pool.ready.reserve(blocks_per_pool_);
    make_ready(pool, block);
  }
}

// ---- Where things stand ----

// kNoBlock for ports of no block: forwards outside the range, and what is left over at its end.
std::uint32_t PortTable::block_of(std::uint16_t address, Transport transport,
                                  std::uint16_t port) const {
  if (!in_range(port)) return kNoBlock;
  const auto place = static_cast<std::uint32_t>(port - first_port_) / block_ports_;
  if (place >= blocks_per_pool_) return kNoBlock;
  return static_cast<std::uint32_t>(pool_of(address, transport)) * blocks_per_pool_ + place;
}

std::uint16_t PortTable::first_port_of(std::uint32_t block) const {
  return static_cast<std::uint16_t>(first_port_ + block % blocks_per_pool_ * block_ports_);
}

PortTable::Holding& PortTable::holding_of(std::uint32_t block) {
  const std::size_t pool = block / blocks_per_pool_;
  const std::size_t family = family_index(addresses_[pool / kTransports].family);
  return subscribers_[blocks_[block].owner].holdings[family][pool % kTransports];
}

bool PortTable::rested(std::uint32_t entry, Ticks now) const {
  return ((now - entry) & (kResting - 1)) >= rest_;
}

// ---- Choosing ----

// From a random place on, the first port of the wanted parity, else the first of the other.
std::uint16_t PortTable::search(std::uint32_t block, std::uint16_t like, Ticks now,
                                bool resting_too) {
  const std::uint32_t* const entries =
      &entries_[std::size_t{block / blocks_per_pool_} << 16 | first_port_of(block)];
  const std::uint16_t first = first_port_of(block);
  std::uint32_t at = random_.below(block_ports_);
  std::uint16_t second_best = 0;
  for (std::uint32_t seen = 0; seen < block_ports_; ++seen) {
    const std::uint32_t entry = entries[at];
    const bool free =
        entry == 0 || ((entry & kResting) != 0 && (resting_too || rested(entry, now)));
    const auto port = static_cast<std::uint16_t>(first + at);
    if (free && ((port ^ like) & 1) == 0) return port;
    if (free && second_best == 0) second_best = port;
    if (++at == block_ports_) at = 0;
  }
  return second_best;
}

// Blocks without a rested port go to the end of the list, so that the next search starts better.
std::uint16_t PortTable::search_holding(Holding& holding, std::uint16_t like, Ticks now) {
  for (unsigned i = 0; i < kBlocksSearched && holding.head != kNoBlock; ++i) {
    const std::uint32_t block = holding.head;
    if (const std::uint16_t port = search(block, like, now, false); port != 0) return port;
    if (holding.head == holding.tail) break;
    unlink(holding, block);
    push_back(holding, block);
  }
  return 0;
}

// The address of a subscriber without blocks: that with the most free blocks, the first of equals;
// those that rest count, as long as there is one to give now. Since it keeps to it, the one that is
// nearly full would soon have nothing for it.
bool PortTable::pick_address(Subscriber& subscriber, net::Family family, Transport transport,
                             Ticks now) {
  const Pool* best = nullptr;
  const auto is_better = [](const Pool& pool, const Pool& than) {
    if (pool.ready.empty() != than.ready.empty()) return than.ready.empty();
    return pool.free_blocks() > than.free_blocks();
  };
  const auto count = static_cast<std::uint16_t>(addresses_.size());
  for (std::uint16_t address = 0; address < count; ++address) {
    if (addresses_[address].family != family || is_unspecified(addresses_[address])) continue;
    Pool& pool = pools_[pool_of(address, transport)];
    wake_rested(pool, now);
    if (best != nullptr && !is_better(pool, *best)) continue;
    subscriber.address[family_index(family)] = address;
    best = &pool;
  }
  return best != nullptr;
}

PortTable::Grant PortTable::choose(std::uint32_t subscriber_id, net::Family family,
                                   Transport transport, std::uint16_t like, Ticks now) {
  Subscriber& subscriber = subscribers_[subscriber_id];
  const std::size_t family_at = family_index(family);
  if (subscriber.blocks[family_at] == 0 && !pick_address(subscriber, family, transport, now)) {
    return {Answer::kNoAddress};
  }
  const std::uint16_t address = subscriber.address[family_at];
  Holding& holding = subscriber.holdings[family_at][static_cast<std::size_t>(transport)];
  std::uint16_t port = search_holding(holding, like, now);
  if (port == 0) {
    Pool& pool = pools_[pool_of(address, transport)];
    wake_rested(pool, now);
    const bool at_limit = holding.blocks >= max_blocks_;
    if (!at_limit && !pool.ready.empty()) {
      const std::uint32_t place = random_.below(static_cast<std::uint32_t>(pool.ready.size()));
      const std::uint32_t block = pool.ready[place];
      give_block(block, subscriber_id);
      port = search(block, like, now, false);
      if (port == 0) return_block(block, now);  // forwards have all of it
    }
    for (std::uint32_t block = holding.head; port == 0 && block != kNoBlock;
         block = blocks_[block].next) {
      if (blocks_[block].used < block_ports_) port = search(block, like, now, true);
    }
    if (port == 0) return {at_limit ? Answer::kLimit : Answer::kExhausted};
  }
  return {Answer::kGranted, address, port};
}

bool PortTable::claim(std::uint32_t subscriber_id, std::uint16_t address, Transport transport,
                      std::uint16_t port, Ticks now) {
  const std::uint32_t block = block_of(address, transport, port);
  if (block == kNoBlock || subscriber_id >= subscribers_.size()) return false;
  const std::uint32_t entry = entries_[entry_at(address, transport, port)];
  if (entry != 0 && ((entry & kResting) == 0 || !rested(entry, now))) return false;
  if (blocks_[block].owner == subscriber_id) return true;
  Subscriber& subscriber = subscribers_[subscriber_id];
  const std::size_t family_at = family_index(addresses_[address].family);
  if (subscriber.blocks[family_at] != 0 && subscriber.address[family_at] != address) return false;
  const Holding& holding = subscriber.holdings[family_at][static_cast<std::size_t>(transport)];
  if (holding.blocks >= max_blocks_) return false;
  wake_rested(pools_[pool_of(address, transport)], now);
  if (blocks_[block].ready_at == kNoBlock) return false;
  subscriber.address[family_at] = address;
  give_block(block, subscriber_id);
  return true;
}

// ---- Ports ----

void PortTable::assign(std::uint16_t address, Transport transport, std::uint16_t port, Slot slot) {
  entries_[entry_at(address, transport, port)] = slot;
  const std::uint32_t block = block_of(address, transport, port);
  if (++blocks_[block].used < block_ports_) return;
  Holding& holding = holding_of(block);
  unlink(holding, block);
  push_back(holding, block);
}

void PortTable::release(std::uint16_t address, Transport transport, std::uint16_t port, Ticks now) {
  entries_[entry_at(address, transport, port)] = kResting | (now & (kResting - 1));
  const std::uint32_t block = block_of(address, transport, port);
  const bool was_full = blocks_[block].used-- == block_ports_;
  if (blocks_[block].used == 0) {
    return_block(block, now);
  } else if (was_full) {
    Holding& holding = holding_of(block);
    unlink(holding, block);
    push_front(holding, block);
  }
}

void PortTable::pin(std::uint16_t address, Transport transport, std::uint16_t port, Slot slot) {
  entries_[entry_at(address, transport, port)] = slot;
}

void PortTable::unpin(std::uint16_t address, Transport transport, std::uint16_t port) {
  entries_[entry_at(address, transport, port)] = 0;
}

// ---- Blocks ----

// A few at a time: each wish for a block wakes more than it takes.
void PortTable::wake_rested(Pool& pool, Ticks now) {
  for (int i = 0; i < 4 && pool.resting_head != kNoBlock; ++i) {
    const std::uint32_t block = pool.resting_head;
    if (now - blocks_[block].freed_at < rest_) return;
    pool.resting_head = blocks_[block].next;
    if (pool.resting_head == kNoBlock) pool.resting_tail = kNoBlock;
    blocks_[block].next = kNoBlock;
    --pool.resting;
    make_ready(pool, block);
  }
}

void PortTable::make_ready(Pool& pool, std::uint32_t block) {
  blocks_[block].ready_at = static_cast<std::uint32_t>(pool.ready.size());
  pool.ready.push_back(block);
}

void PortTable::take_ready(Pool& pool, std::uint32_t block) {
  const std::uint32_t place = blocks_[block].ready_at;
  pool.ready[place] = pool.ready.back();
  blocks_[pool.ready[place]].ready_at = place;
  pool.ready.pop_back();
  blocks_[block].ready_at = kNoBlock;
}

void PortTable::give_block(std::uint32_t block, std::uint32_t subscriber) {
  take_ready(pools_[block / blocks_per_pool_], block);
  blocks_[block].owner = subscriber;
  push_front(holding_of(block), block);
  const std::size_t address = block / blocks_per_pool_ / kTransports;
  ++subscribers_[subscriber].blocks[family_index(addresses_[address].family)];
  ++blocks_in_use_;
  note(block, true);
}

void PortTable::return_block(std::uint32_t block, Ticks now) {
  note(block, false);
  unlink(holding_of(block), block);
  const std::size_t address = block / blocks_per_pool_ / kTransports;
  --subscribers_[blocks_[block].owner].blocks[family_index(addresses_[address].family)];
  --blocks_in_use_;
  Pool& pool = pools_[block / blocks_per_pool_];
  blocks_[block].owner = UINT32_MAX;
  blocks_[block].freed_at = now;
  blocks_[block].next = kNoBlock;
  if (pool.resting_tail == kNoBlock) {
    pool.resting_head = block;
  } else {
    blocks_[pool.resting_tail].next = block;
  }
  pool.resting_tail = block;
  ++pool.resting;
}

void PortTable::push_front(Holding& holding, std::uint32_t block) {
  blocks_[block].previous = kNoBlock;
  blocks_[block].next = holding.head;
  (holding.head == kNoBlock ? holding.tail : blocks_[holding.head].previous) = block;
  holding.head = block;
  ++holding.blocks;
}

void PortTable::push_back(Holding& holding, std::uint32_t block) {
  blocks_[block].next = kNoBlock;
  blocks_[block].previous = holding.tail;
  (holding.tail == kNoBlock ? holding.head : blocks_[holding.tail].next) = block;
  holding.tail = block;
  ++holding.blocks;
}

void PortTable::unlink(Holding& holding, std::uint32_t block) {
  const std::uint32_t next = blocks_[block].next;
  const std::uint32_t previous = blocks_[block].previous;
  (previous == kNoBlock ? holding.head : blocks_[previous].next) = next;
  (next == kNoBlock ? holding.tail : blocks_[next].previous) = previous;
  --holding.blocks;
}

void PortTable::note(std::uint32_t block, bool allocated) {
  const std::size_t pool = block / blocks_per_pool_;
  const net::IpAddress& address = addresses_[pool / kTransports];
  events_.push(
      {.allocated = allocated,
       .subscriber = PeerId{blocks_[block].owner},
       .protocol = protocol_number(static_cast<Transport>(pool % kTransports), address.family),
       .external_address = address,
       .first_port = first_port_of(block),
       .ports = block_ports_});
}

}  // namespace ringway::nat
