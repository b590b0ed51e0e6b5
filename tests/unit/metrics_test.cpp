#include "controlplane/metrics.hpp"

#include <atomic>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/status_samples.hpp"

namespace ringway::control {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(MetricsText, HasHelpTypeAndSampleForEveryFamily) {
  const std::string text = metrics_text(full_sample_status());
  EXPECT_THAT(text, HasSubstr("# HELP ringway_peer_rx_bytes_total Bytes received from the peer.\n"
                              "# TYPE ringway_peer_rx_bytes_total counter\n"
                              "ringway_peer_rx_bytes_total{peer=\"gateway\",public_key=\""
                              "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=\"} 1536000\n"));
  EXPECT_THAT(text, HasSubstr("ringway_port_tx_dropped_total{port=\"outer\"} 17\n"));
  EXPECT_THAT(text,
              HasSubstr("ringway_steered_packets_total{port=\"wan0\",reason=\"tunnel\"} 20\n"));
  EXPECT_THAT(
      text, HasSubstr("ringway_port_ring_losses_total{port=\"wan0\",reason=\"rx_ring_full\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("ringway_worker_handed_over_total{worker=\"0\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("ringway_handshake_messages_total{verdict=\"accepted\"} 12\n"));
  EXPECT_THAT(text, HasSubstr("ringway_full_tunnel_state{state=\"active\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("ringway_up 1\n"));
  EXPECT_THAT(text, HasSubstr("ringway_peers 2\n"));
}

TEST(MetricsText, HasEveryDropReason) {
  const std::string text = metrics_text(full_sample_status());
  for (const DropReasonText& reason : kDropReasonTexts) {
    EXPECT_THAT(text, HasSubstr("ringway_dropped_packets_total{reason=\"" +
                                std::string(reason.label) + "\"} "));
  }
}

TEST(MetricsText, OmitsTheAgeOfAHandshakeThatNeverWas) {
  const std::string text = metrics_text(full_sample_status());
  EXPECT_THAT(text, HasSubstr("ringway_peer_handshake_age_seconds{peer=\"gateway\""));
  EXPECT_THAT(text, Not(HasSubstr("ringway_peer_handshake_age_seconds{peer=\"phone\"")));
}

TEST(MetricsText, EscapesLabels) {
  NodeStatus status;
  status.ports = {{.name = "a\"b\\c\nd", .description = ""}};
  EXPECT_THAT(metrics_text(status), HasSubstr("{port=\"a\\\"b\\\\c\\nd\"}"));
}

class MetricsHttp : public testing::Test {
 protected:
  void SetUp() override {
    MetricsServer::Options options;
    options.listen = {net::IpAddress::parse("127.0.0.1").value(), 0};
    options.max_clients = 2;
    options.timeout = std::chrono::milliseconds(300);
    auto server = MetricsServer::start(io_, options, [] { return std::string("m 1\n"); });
    ASSERT_TRUE(server) << server.error().text();
    server_ = std::move(*server);
    port_ = server_->port();
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
  }

  int connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static std::string read_all(int fd) {
    std::string text;
    char chunk[4096];
    for (ssize_t got = 0; (got = ::read(fd, chunk, sizeof chunk)) > 0;) {
      text.append(chunk, static_cast<std::size_t>(got));
    }
    ::close(fd);
    return text;
  }
  std::string exchange(const std::string& request) const {
    const int fd = connect();
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    return read_all(fd);
  }

  boost::asio::io_context io_;
  std::unique_ptr<MetricsServer> server_;
  std::thread thread_;
  std::uint16_t port_ = 0;
};

TEST_F(MetricsHttp, AnswersGetMetrics) {
  const std::string response = exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(response, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(response, HasSubstr("\r\n\r\nm 1\n"));
}

TEST_F(MetricsHttp, RefusesOtherPathsAndMethods) {
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    EXPECT_THAT(exchange(std::string(method) + " /metrics HTTP/1.1\r\n\r\n"),
                StartsWith("HTTP/1.1 405 "))
        << method;
  }
}

TEST_F(MetricsHttp, DropsGarbageOversizeAndSilence) {
  EXPECT_EQ(exchange("\x01\x02\x03garbage\r\n\r\n"), "");
  EXPECT_EQ(exchange("GET /metrics HTTP/1.1\r\nX: " + std::string(3900, 'x') +
                     "\r\nY: " + std::string(3900, 'y') + "\r\n\r\n"),
            "");
  EXPECT_EQ(read_all(connect()), "") << "ends by its timeout";
  EXPECT_THAT(exchange("GET /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsHttp, BoundsItsClients) {
  const int first = connect();
  const int second = connect();
  ::usleep(50'000);
  EXPECT_EQ(read_all(connect()), "") << "the third is closed at once";
  ::close(first);
  ::close(second);
}

TEST_F(MetricsHttp, SaysWhichAddressIsTaken) {
  MetricsServer::Options options;
  options.listen = {net::IpAddress::parse("127.0.0.1").value(), port_};
  boost::asio::io_context other;
  const auto server = MetricsServer::start(other, options, [] { return std::string(); });
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text(), HasSubstr("127.0.0.1:" + std::to_string(port_)));
}

}  // namespace
}  // namespace ringway::control
