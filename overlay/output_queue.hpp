// What the overlay wants its driver to do, in order, until the driver has taken it.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "overlay/broadcast/broadcast_events.hpp"
#include "overlay/contact.hpp"
#include "overlay/crawl/crawl_result.hpp"
#include "overlay/dht/events.hpp"
#include "overlay/link.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay {

namespace output {
// One message over a link: delivered once or not at all.
struct Send {
  LinkId link;
  ConstBytes bytes;  // until the next input
};
// Open a link. Answered by link_up() with this attempt, or by open_failed(). Without a node:
// whoever is at those addresses, a well-known node whose ID nobody knows.
struct Open {
  AttemptId attempt;
  bool node_known = false;
  bool relayed = false;  // through the relays that were set for the node, not to its addresses
  Contact to;
};
// The link is gone for the overlay. What was sent before should still arrive.
struct Close {
  LinkId link;
};
// A lookup has ended.
struct LookupDone {
  std::uint64_t request_id = 0;
  bool answered = false;
  NodeId responder;
  std::uint8_t hops = 0;
  int tries = 0;
  Duration took;
};

// Messages to a node that no direct link can be had with. A relay swaps labels: what is sent to it
// with `send_label` comes to the node with the label that the node receives it by.
struct RelayPath {
  LinkId relay;  // the direct link with it
  std::uint32_t send_label = 0;
  std::uint32_t receive_label = 0;
};
using RelayPaths = BoundedList<RelayPath, 6>;
// What there is to reach the node through, in the order of preference; all are received from.
// Replaces what was said of it before.
struct SetRelays {
  NodeId node;
  RelayPaths relays;
};
// As a relay: what comes over the link `from` with `label` goes out over `to` with `to_label`.
struct Forward {
  LinkId from;
  std::uint32_t label = 0;
  LinkId to;
  std::uint32_t to_label = 0;
};
struct StopForwarding {
  LinkId from;
  std::uint32_t label = 0;
};
}  // namespace output

using Relaying = std::variant<output::SetRelays, output::Forward, output::StopForwarding>;
// What the driver is told, and passes on to whoever asked.
using Event = std::variant<output::LookupDone, output::BroadcastReceived, output::BroadcastMeasured,
                           output::CrawlDone, output::DhtDone, output::DhtChanged, output::DhtLost,
                           output::AddressTaken, output::AddressLost>;
using Output = std::variant<output::Send, output::Open, output::Close, Event, Relaying>;

class OutputQueue {
 public:
  void send(LinkId link, ConstBytes message) {
    items_.push_back({Kind::kSend, static_cast<std::uint16_t>(message.size()), link.value});
    bytes_.insert(bytes_.end(), message.begin(), message.end());
  }
  void open(const output::Open& open) {
    items_.push_back({Kind::kOpen, 0, static_cast<std::uint32_t>(opens_.size())});
    opens_.push_back(open);
  }
  void close(LinkId link) { items_.push_back({Kind::kClose, 0, link.value}); }
  void tell(Event event) {
    items_.push_back({Kind::kEvent, 0, static_cast<std::uint32_t>(events_.size())});
    events_.push_back(std::move(event));
  }
  void relay(const Relaying& relaying) {
    items_.push_back({Kind::kRelaying, 0, static_cast<std::uint32_t>(relayings_.size())});
    relayings_.push_back(relaying);
  }

  // The oldest not yet taken; false when there is none.
  [[nodiscard]] bool poll(Output& out);

 private:
  enum class Kind : std::uint8_t { kSend, kOpen, kClose, kEvent, kRelaying };
  struct Item {
    Kind kind;
    std::uint16_t size;   // of a message
    std::uint32_t value;  // link, or index in opens_, events_ or relayings_
  };
  void reset();

  std::vector<Item> items_;
  std::vector<std::uint8_t> bytes_;
  std::vector<output::Open> opens_;
  std::vector<Event> events_;
  std::vector<Relaying> relayings_;
  std::size_t next_ = 0;
  std::size_t next_byte_ = 0;
};

}  // namespace ringway::overlay
