// Operations of this node on keys: each asks the key's replicas, all of them, and counts. The ring
// finds the two nodes on either side of the key, which say who else there is; those are asked by
// their IDs. So no single node decides what is there, or who is asked.
//
//              room                both sides have answered or failed, and
//   WAITING ─────────► ASKING ──────────────────────────────────────────────► done
//                      ▲    │      a majority agrees, or nobody else is left to answer
//                      │    │ no majority, a few times
//                      └─ PAUSE
//
// Bounded: operations that wait, those under way, values read, rounds.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/reading.hpp"
#include "overlay/dht/replica.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay::dht {

// Who wants an operation done, and is told of its end.
enum class Asker : std::uint8_t {
  kDriver,  // by an event
  kUpkeep,  // nobody: values and subscriptions of this node are renewed
  kLease,   // address_lease.hpp
};

// What is to be done. For writes: what the value shall say.
struct Order {
  Task task = Task::kGet;
  Kind kind = Kind::kOwned;
  NodeId owner;  // get, subscribe of kOwned; else this node
  std::vector<std::uint8_t> name;
  std::vector<std::uint8_t> payload;
  Duration ttl = kLongestTtl;
  bool renewal = false;  // of a value that this node holds already
  Asker asker = Asker::kDriver;
};

struct Done {
  std::uint64_t operation = 0;
  Order order;
  Key key;
  Result result = Result::kDone;
  bool majority = false;
  NodeId holder;
  std::vector<Found> values;
};

class Client {
 public:
  Client(Core& core, Rpc& rpc, Replica& replica, const DhtParameters& parameters)
      : core_(core), rpc_(rpc), replica_(replica), parameters_(parameters), memory_(parameters) {}

  // Zero when too many wait.
  std::uint64_t begin(Order order);
  void on_answer(const Answer& answer);
  // Somebody says that a value changed: the record is looked at as if it had been read, and a
  // credential that is missing is asked for.
  void on_notice(const NodeId& from, const Record& record);
  void tick();
  [[nodiscard]] std::optional<Done> take_done();
  // Authentic values that came by notices, each newer than what was known.
  struct News {
    Key key;
    Reading::Version version;
  };
  [[nodiscard]] std::optional<News> take_news();
  [[nodiscard]] std::size_t operations() const { return operations_.size(); }

 private:
  enum class State : std::uint8_t { kWaiting, kAsking, kPause };
  // A node of which something was asked.
  struct Asked {
    NodeId node;  // unknown until it answers, when the ring finds it
    std::optional<wire::Direction> found_by_ring;
    std::uint64_t request = 0;             // zero: ended
    std::uint64_t credential_request = 0;  // zero: none is missing
    NodeId credential_owner;
    bool answered = false;
    std::size_t pages = 0;                // of its answer, so far
    bool counts = false;                  // towards the majority
    bool denies = false;                  // it would know, and another lives there
    std::vector<std::uint64_t> versions;  // that it has

    [[nodiscard]] bool waits() const { return request != 0 || credential_request != 0; }
  };
  struct Operation {
    std::uint64_t id = 0;
    Order order;
    Key key;
    State state = State::kWaiting;
    Instant resume;  // kPause
    int rounds = 0;
    std::uint64_t sequence = 0;
    std::vector<std::uint8_t> value;  // signed, of a write
    std::vector<NodeId> named;        // by the nodes that the ring found
    std::vector<Asked> asked;
    bool stored = false;   // by one replica at least
    bool refused = false;  // by one
    bool subscribing = false;
    std::uint64_t stale_sequence = 0;
    Reading reading;
  };
  struct Notice {  // waits for its owner's credential
    std::uint64_t request = 0;
    Key key;
    NodeId owner;
    Reading reading;
  };

  void start_round(Operation& operation);
  void sign(Operation& operation);
  void find(Operation& operation, wire::Direction direction);
  // Those replicas that are known by now and were not asked yet.
  void ask_replicas(Operation& operation);
  void ask(Operation& operation, const NodeId& node);
  std::uint64_t send(const NodeId& node, wire::Route route, wire::Method method, ConstBytes body,
                     int tries);
  std::uint64_t send_exact(const NodeId& node, wire::Method method, ConstBytes body, int tries);
  [[nodiscard]] std::vector<std::uint8_t> body_of(const Operation& operation) const;

  // What came back from a replica, or from this node itself.
  void on_reply(Operation& operation, Asked& asked, const Answer& answer);
  void answer_here(Operation& operation, Asked& asked);
  void take(Operation& operation, Asked& asked, const StoreReply& reply);
  void take(Operation& operation, Asked& asked, const GetReply& reply);
  void take(Operation& operation, Asked& asked, const Record& record);
  void add_named(Operation& operation, const Asked& asked, const Nodes& nodes);
  void on_notice_credential(const Answer& answer);

  void evaluate(Operation& operation);
  // The end, if it has come; `all_ended`: nobody else will answer.
  [[nodiscard]] std::optional<Result> judge(const Operation& operation, bool all_ended,
                                            bool majority) const;
  [[nodiscard]] std::optional<Result> judge_create(const Operation& operation, bool all_ended,
                                                   bool majority) const;
  void try_again(Operation& operation);
  void give_up_earlier(const Key& key);
  void finish(Operation& operation, Result result, bool majority);
  void read_values(const Operation& operation, Done& done);
  void repair(const Operation& operation);
  void look_for_news(const Key& key, const Reading& reading);

  Core& core_;
  Rpc& rpc_;
  Replica& replica_;
  const DhtParameters& parameters_;
  Memory memory_;
  std::vector<std::unique_ptr<Operation>> operations_;
  std::vector<Notice> notices_;
  std::vector<Done> done_;
  std::vector<News> news_;
  std::uint64_t next_id_ = 1;
};

}  // namespace ringway::overlay::dht
