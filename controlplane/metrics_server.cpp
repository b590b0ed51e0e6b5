// The HTTP side of the metrics, on Boost.Beast: one request a connection, bounded in size, time and
// number of connections.
#include <algorithm>
#include <set>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "controlplane/asio_await.hpp"
#include "controlplane/metrics.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Stream = boost::beast::tcp_stream;

constexpr std::size_t kMaxHttpHeaderBytes = 4096;

http::response<http::string_body> make_response(http::status status, std::string body) {
  http::response<http::string_body> response{status, 11};
  response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
  response.keep_alive(false);
  response.body() = std::move(body);
  response.prepare_payload();
  return response;
}

tcp::endpoint to_asio(const net::Endpoint& endpoint) {
  if (endpoint.address.is_v4()) {
    asio::ip::address_v4::bytes_type bytes;
    std::copy_n(endpoint.address.bytes.begin(), bytes.size(), bytes.begin());
    return {asio::ip::address_v4(bytes), endpoint.port};
  }
  return {asio::ip::address_v6(endpoint.address.bytes), endpoint.port};
}

}  // namespace

struct MetricsServer::State {
  State(asio::io_context& io, MetricsServer::Options given, std::function<std::string()> provider)
      : options(given), text(std::move(provider)), acceptor(io) {}

  MetricsServer::Options options;
  std::function<std::string()> text;
  tcp::acceptor acceptor;
  std::set<Stream*> clients;
  bool stopped = false;

  http::response<http::string_body> respond(const http::request<http::empty_body>& request) const {
    if (request.method() != http::verb::get) {
      auto response = make_response(http::status::method_not_allowed, "GET only\n");
      response.set(http::field::allow, "GET");
      return response;
    }
    if (request.target() != "/metrics") {
      return make_response(http::status::not_found, "see /metrics\n");
    }
    return make_response(http::status::ok, text());
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, tcp::socket socket) {
    Stream stream(std::move(socket));
    self->clients.insert(&stream);
    boost::beast::flat_buffer buffer(kMaxHttpHeaderBytes);
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kMaxHttpHeaderBytes);
    stream.expires_after(self->options.timeout);
    const auto [read_error, read_bytes] =
        co_await http::async_read_header(stream, buffer, parser, kAwait);
    if (!read_error && !self->stopped) {
      const auto response = self->respond(parser.get());
      stream.expires_after(self->options.timeout);
      co_await http::async_write(stream, response, kAwait);  // gone clients are no error
      boost::system::error_code ignored;
      stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
    self->clients.erase(&stream);
  }

  static asio::awaitable<void> accept(std::shared_ptr<State> self) {
    while (!self->stopped) {
      auto [error, socket] = co_await self->acceptor.async_accept(kAwait);
      if (self->stopped) co_return;
      if (error) {
        co_await pause_after_failed_accept();
      } else if (self->clients.size() < self->options.max_clients) {
        asio::co_spawn(self->acceptor.get_executor(), serve(self, std::move(socket)),
                       end_on_exception);
      }
    }
  }
};

MetricsServer::MetricsServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

MetricsServer::~MetricsServer() {
  state_->stopped = true;
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  for (Stream* stream : state_->clients)
    stream->cancel();
}

std::uint16_t MetricsServer::port() const {
  return state_->options.listen.port;
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(asio::io_context& io, Options options,
                                                            std::function<std::string()> text) {
  auto state = std::make_shared<State>(io, options, std::move(text));
  const tcp::endpoint endpoint = to_asio(options.listen);
  boost::system::error_code error;
  state->acceptor.open(endpoint.protocol(), error);
  if (!error) state->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) state->acceptor.bind(endpoint, error);
  if (!error) state->acceptor.listen(static_cast<int>(options.max_clients), error);
  if (error) {
    return failure("metrics: listening on " + options.listen.to_string() + ": " + error.message(),
                   "choose another metrics.listen");
  }
  state->options.listen.port = state->acceptor.local_endpoint(error).port();
  asio::co_spawn(io, State::accept(state), end_on_exception);
  return std::unique_ptr<MetricsServer>(new MetricsServer(state));
}

}  // namespace ringway::control
