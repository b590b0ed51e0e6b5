// One session: the transport keys of one finished handshake, its send counter and replay window.
// Made on the control thread, then owned and used by one worker only.
// Source: WireGuard whitepaper, section 5.4.6 and 6.2.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.hpp"
#include "base/slab.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/crypto_batch.hpp"
#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/replay.hpp"

namespace ringway::tunnel {

class alignas(64) Session : public InSlab<Session> {
 public:
  explicit Session(const SessionKeys& keys)
      : created_(keys.created),
        limits_(packet_limits(keys.suite)),
        peer_(keys.peer),
        local_index_(keys.local_index),
        remote_index_(keys.remote_index),
        suite_(keys.suite),
        initiator_(keys.initiator),
        send_key_(keys.suite, keys.send_key),
        receive_key_(keys.suite, keys.receive_key) {}

  [[nodiscard]] PeerId peer() const { return peer_; }
  [[nodiscard]] Suite suite() const { return suite_; }
  [[nodiscard]] bool initiator() const { return initiator_; }
  [[nodiscard]] ReceiverIndex local_index() const { return local_index_; }
  [[nodiscard]] ReceiverIndex remote_index() const { return remote_index_; }
  [[nodiscard]] Instant created() const { return created_; }
  [[nodiscard]] const BulkKey& send_key() const { return send_key_; }
  [[nodiscard]] const BulkKey& receive_key() const { return receive_key_; }
  [[nodiscard]] std::uint64_t sent() const { return next_counter_; }

  // Too old to send or to accept anything.
  [[nodiscard]] bool expired(Instant now) const { return now - created_ >= kRejectAfterTime; }

  // The first of `count` fresh counters, never handed out again; empty when the session is past its
  // time or packet limit.
  [[nodiscard]] std::optional<std::uint64_t> reserve_counters(std::uint64_t count, Instant now) {
    if (expired(now) || count > limits_.reject_after - next_counter_) return std::nullopt;
    const std::uint64_t first = next_counter_;
    next_counter_ += count;
    return first;
  }

  // A new handshake is wanted: by message count on either side, by age only on the initiator's.
  [[nodiscard]] bool rekey_due_on_send(Instant now) const {
    return next_counter_ > limits_.rekey_after || (initiator_ && now - created_ >= kRekeyAfterTime);
  }
  [[nodiscard]] bool rekey_due_on_receive(Instant now) const {
    return initiator_ && now - created_ >= kRekeyOnReceiveAfter;
  }

  // Has fetched what a message looks at, but for the keys, which CryptoBatch sees to.
  void prefetch() const { __builtin_prefetch(this, 1); }

  // Whether the peer's bandwidth is limited. Here as well, so that a message of a peer without a
  // limit is opened before its peer is looked at.
  [[nodiscard]] bool limited() const { return limited_; }
  void set_limited(bool limited) { limited_ = limited; }

  // After authentication only.
  [[nodiscard]] bool accept_counter(std::uint64_t counter) {
    return replay_.accept(counter, limits_.reject_after);
  }

 private:
  friend class SessionTestAccess;
  // What every packet looks at, up to the replay window's newest word: one cache line.
  Instant created_;
  std::uint64_t next_counter_ = 0;
  PacketLimits limits_;
  PeerId peer_;
  ReceiverIndex local_index_;
  ReceiverIndex remote_index_;
  Suite suite_;
  bool initiator_;
  bool limited_ = false;
  ReplayWindow replay_;
  BulkKey send_key_;
  BulkKey receive_key_;

 public:
  Session* next_retired = nullptr;  // the worker's list of sessions on their way back to control
};

}  // namespace ringway::tunnel
