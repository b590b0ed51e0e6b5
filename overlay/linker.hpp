// Getting links: who is being called, who did not answer and when to try again. First the other
// node's addresses are tried; where that fails, the ring carries a request to it to open the link
// from its side at the same time. Bounded: attempts, tries, and what is remembered of failures.
//
//             link_to()                   link_up
//   (none) ─────────────► OPENING ────────────────────────► (none), a link
//      ▲                  │     │ open_failed, timeout
//      │ asked: no link   │     ▼
//      └───── ASKED ◄─────┘   BACK-OFF (in failures), doubled each time
//      a connect request for it went through the ring; opens itself when the other end has not
//
// A connect request tells the other end where to call, sealed to its key. Where that is not known,
// one without addresses goes before, whose answer brings it.
//
// A call that is not answered soon makes the ring carry that request already while it goes on, so
// that both ends call at once, which opens the way through most NATs. If the other end answers and
// no link comes up all the same, the attempt is stuck: it takes a relay.
#pragma once

#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay {

class Linker {
 public:
  Linker(Core& core, Rpc& rpc) : core_(core), rpc_(rpc), gate_(core.parameters.call_limits) {}

  enum class Begun : std::uint8_t { kLinked, kBegun, kUnderWay, kBackingOff, kNoRoom };
  // Has a link with `contact`, wanted for `wants`, in the end.
  // key: the other end's, where an answer brought it.
  Begun link_to(const Contact& contact, std::uint8_t wants,
                const std::optional<SealingKey>& key = std::nullopt);
  // The same for a well-known node: its addresses are the user's choice, its ID may be unknown.
  Begun link_to_well_known(const std::optional<NodeId>& node, const Candidates& candidates,
                           std::uint8_t wants);
  // By its place on the ring alone: the ring carries a request.
  void link_through_ring(const NodeId& node, std::uint8_t wants, int tries,
                         const std::optional<SealingKey>& key = std::nullopt);
  // Through the relays that the driver was told of.
  void link_over_relays(const NodeId& node, std::uint8_t wants);
  // Directly, though there is a relayed link.
  void link_directly(const Contact& contact);
  // The other end answered a connect request: it opens the link, and if not, so shall we.
  void on_connect_answer(const Answer& answer);

  // Ends the attempts that a new link fulfils. What they wanted it for.
  [[nodiscard]] std::uint8_t on_link_up(AttemptId id, const NodeId& node);
  void on_open_failed(AttemptId id);
  void tick();

  struct Failed {
    bool node_known = false;
    NodeId node;
    std::uint8_t wants = 0;
  };
  // Attempts that came to nothing, for those who wanted them.
  [[nodiscard]] bool poll_failed(Failed& failed);
  // Attempts whose other end is there, but cannot be reached.
  [[nodiscard]] bool poll_stuck(Failed& stuck);

  [[nodiscard]] bool under_way(const NodeId& node) const;
  // A node with a link here that says to have one with `node`.
  [[nodiscard]] std::optional<NodeId> neighbour_of(const NodeId& node) const;
  [[nodiscard]] std::size_t attempts(std::uint8_t wants) const;
  [[nodiscard]] std::size_t attempts() const { return attempts_.size(); }
  [[nodiscard]] std::size_t failures() const { return failures_.size(); }
  [[nodiscard]] std::size_t called_targets() const { return gate_.targets(); }
  // Attempts for near neighbours that lie clockwise between two places.
  [[nodiscard]] std::size_t near_attempts_between(const NodeId& from, const NodeId& to) const;
  void forget_failures(const NodeId& node);
  // Before that link_to() refuses the node; long past for one that did not fail.
  [[nodiscard]] Instant backs_off_until(const NodeId& node) const;

 private:
  struct Attempt {
    AttemptId id;
    bool node_known = false;
    bool opened = false;  // the driver is at it; else waiting for open_at
    bool asked = false;   // the ring was asked already
    bool relayed = false;
    bool chosen = false;  // its addresses are the user's
    std::uint8_t wants = 0;
    Contact to;
    std::optional<SealingKey> key;  // of the other end, where it is known
    Instant open_at;
    Instant ask_at = Instant::never();  // the ring, to have the other end open as well
    Instant stuck_at = Instant::never();
    Instant deadline;
    [[nodiscard]] Instant next_step() const;
  };
  struct Failure {
    NodeId node;
    Instant until;
    int times = 0;
  };
  [[nodiscard]] std::optional<Begun> refusal_to(const Contact& contact, std::uint8_t wants);
  Begun begin(Attempt attempt);
  // False where none of the addresses may be called.
  [[nodiscard]] bool open(Attempt& attempt);
  void ask_other_end(Attempt& attempt);
  void report_stuck(Attempt& attempt);
  void give_up(Attempt attempt);
  void back_off(const NodeId& node);
  [[nodiscard]] Attempt* find(const NodeId& node);

  Core& core_;
  Rpc& rpc_;
  CandidateGate gate_;
  std::uint32_t next_attempt_ = 1;
  std::vector<Attempt> attempts_;
  std::vector<Failure> failures_;
  std::vector<Failed> failed_;
  std::vector<Failed> stuck_;
};

}  // namespace ringway::overlay
