// What the tests of the kernel ports share: private network namespaces, bursts with a deadline, and
// the account of buffers.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/port.hpp"

namespace ringway::io {

// The calling thread in a fresh network namespace with loopback up; the old one comes back when it
// goes. Needs root: ok() is false without.
class PrivateNamespace {
 public:
  PrivateNamespace();
  ~PrivateNamespace();
  PrivateNamespace(const PrivateNamespace&) = delete;
  PrivateNamespace& operator=(const PrivateNamespace&) = delete;

  [[nodiscard]] bool ok() const { return own_fd_ >= 0; }
  // Moves the thread back into this namespace after another was made.
  void enter() const;

 private:
  int outer_fd_;
  int own_fd_ = -1;
};

// Runs a command of the host (ip, nft) in the thread's namespace; true on success.
[[nodiscard]] bool run_command(const std::string& command);
[[nodiscard]] bool set_interface_mtu(const std::string& interface, int mtu);

// Calls rx_burst until `datagrams` have come or two seconds have passed.
[[nodiscard]] std::vector<Slot> receive(Port& port, std::size_t datagrams);
// Calls `step` until it returns true or `seconds` have passed.
[[nodiscard]] bool eventually(const std::function<bool()>& step, double seconds = 5);

[[nodiscard]] std::vector<std::uint8_t> slot_bytes(const Slot& slot);
void release_all(const std::vector<Slot>& slots);
[[nodiscard]] std::size_t datagram_count(const std::vector<Slot>& slots);

}  // namespace ringway::io
