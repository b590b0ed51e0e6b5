// The control thread's end of one worker's rings: commands go in the order of send(), those that
// find the ring full wait here. Control thread.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "dataplane/control_api.hpp"

namespace ringway::control {

class WorkerChannel {
 public:
  // `link` outlives this.
  explicit WorkerChannel(ControlLink& link) : link_(&link) {}

  void send(Command&& command) {
    flush();
    if (!idle() || !link_->commands.try_push(std::move(command))) {
      // NOLINTNEXTLINE(bugprone-use-after-move): not taken when full
      waiting_.push_back(std::move(command));
    }
    link_->worker_doorbell.ring();
  }
  // Puts what waits into the ring, as far as there is room.
  void flush() {
    while (head_ < waiting_.size() && link_->commands.try_push(std::move(waiting_[head_])))
      ++head_;
    if (head_ == waiting_.size()) {
      waiting_.clear();
      head_ = 0;
    }
  }
  // Nothing waits for room.
  [[nodiscard]] bool idle() const { return head_ == waiting_.size(); }

  [[nodiscard]] SpscRing<Event>& events() { return link_->events; }
  [[nodiscard]] SpscRing<HandshakeReceived>& handshakes() { return link_->handshakes; }
  [[nodiscard]] SpscRing<PacketForKernel>& for_kernel() { return link_->for_kernel; }

 private:
  ControlLink* link_;
  std::vector<Command> waiting_;
  std::size_t head_ = 0;
};

}  // namespace ringway::control
