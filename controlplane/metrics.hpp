// A node's status for Prometheus: the text, and a small HTTP server on loopback that answers
// GET /metrics and nothing else.
// Source: Prometheus text exposition format 0.0.4.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "controlplane/node_status.hpp"

namespace boost::asio {
class io_context;
}

namespace ringway::control {

[[nodiscard]] std::string metrics_text(const NodeStatus& status);

class MetricsServer {
 public:
  struct Options {
    net::Endpoint listen;  // loopback; port 0 lets the kernel choose
    std::size_t max_clients = 8;
    std::chrono::milliseconds timeout = std::chrono::seconds(5);  // for each request
  };

  // `text` is called on `io` for each request. `io` must outlive the server.
  [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> start(
      boost::asio::io_context& io, Options options, std::function<std::string()> text);
  // Ends all connections; `text` is not called afterwards.
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct State;
  explicit MetricsServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace ringway::control
