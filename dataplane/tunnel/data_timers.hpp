// The timers that data packets drive, for one peer, on the worker: passive and persistent
// keepalives, and "nothing came back". Timestamps only; nothing is armed per packet, the worker
// asks for the next deadline and looks again then. Source: WireGuard whitepaper, section 6; rules
// 2, 3 and 7 of its Linux implementation's timers.
#pragma once

#include <algorithm>

#include "base/time.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::tunnel {

class DataTimers {
 public:
  // Duration{} switches persistent keepalives off.
  void set_persistent_keepalive(Duration interval, Instant now) {
    persistent_ = interval;
    last_traversal_ = now;
  }
  [[nodiscard]] Duration persistent_keepalive() const { return persistent_; }

  // Data was sent since anything came.
  [[nodiscard]] bool awaits_answer() const { return unanswered_deadline_ != Instant::never(); }
  // Whether on_data_sent(now) would change nothing: it was called and nothing came since.
  [[nodiscard]] bool has_sent_data_at(Instant now) const {
    return last_traversal_ == now && awaits_answer() && passive_deadline_ == Instant::never();
  }
  // jitter: 0..333 ms, drawn anew by the caller, so that two ends do not start at once. Not looked
  // at while awaits_answer().
  void on_data_sent(Instant now, Duration jitter) {
    if (unanswered_deadline_ == Instant::never()) {
      unanswered_deadline_ = now + kNewHandshakeAfterUnanswered + jitter;
    }
    on_packet_sent(now);
  }
  // Keepalives and handshake messages: they never arm the "unanswered" timer.
  void on_packet_sent(Instant now) {
    passive_deadline_ = Instant::never();
    another_passive_ = false;
    last_traversal_ = now;
  }
  void on_data_received(Instant now) {
    if (passive_deadline_ == Instant::never()) {
      passive_deadline_ = now + kKeepaliveTimeout;
    } else {
      another_passive_ = true;
    }
    on_packet_received(now);
  }
  // Any authenticated packet.
  void on_packet_received(Instant now) {
    unanswered_deadline_ = Instant::never();
    last_traversal_ = now;
  }

  struct Due {
    bool send_keepalive = false;
    bool unanswered = false;  // a new handshake is wanted
  };
  // What has become due by `now`; each is reported once. `send_keepalive` is to be followed by
  // on_packet_sent() when it was really sent.
  [[nodiscard]] Due take_due(Instant now) {
    Due due;
    if (now >= unanswered_deadline_) {
      unanswered_deadline_ = Instant::never();
      due.unanswered = true;
    }
    if (now >= passive_deadline_) {
      passive_deadline_ = another_passive_ ? now + kKeepaliveTimeout : Instant::never();
      another_passive_ = false;
      due.send_keepalive = true;
    }
    if (now >= persistent_deadline()) {
      last_traversal_ = now;
      due.send_keepalive = true;
    }
    return due;
  }
  [[nodiscard]] Instant next_deadline() const {
    return std::min({unanswered_deadline_, passive_deadline_, persistent_deadline()});
  }
  void stop() {
    unanswered_deadline_ = passive_deadline_ = Instant::never();
    another_passive_ = false;
  }

 private:
  [[nodiscard]] Instant persistent_deadline() const {
    return persistent_ == Duration{} ? Instant::never() : last_traversal_ + persistent_;
  }

  Instant unanswered_deadline_ = Instant::never();
  Instant passive_deadline_ = Instant::never();
  Duration persistent_;
  Instant last_traversal_ = Instant::distant_past();
  bool another_passive_ = false;  // data came while a passive keepalive was already pending
};

}  // namespace ringway::tunnel
