#include "controlplane/local_api.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "controlplane/logging.hpp"
#include "tests/unit/status_samples.hpp"

namespace ringway::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kNewKey = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

const MappingStatus kMapping{"gateway",
                             "udp",
                             *net::Endpoint::parse("10.1.0.2:53"),
                             *net::Endpoint::parse("192.0.2.1:20001"),
                             1.5,
                             298.5};

class FakeNode final : public NodeControl {
 public:
  FakeNode() {
    config_.interface.public_key[0] = 9;
    PeerConfig peer;
    peer.name = "gateway";
    peer.public_key = *parse_public_key("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
    peer.allowed_ips = {*net::Prefix::parse("10.1.0.0/16")};
    config_.peers = {peer};
  }
  NodeStatus status() override { return full_sample_status(); }
  const Config& config() const override { return config_; }
  Result<MappingList> mappings(const MappingQuery& query) override {
    // Of three pieces the middle one is empty, as where many slots are unused.
    const std::vector<MappingList> pieces = {{{kMapping}, 7}, {{}, 9}, {{kMapping, kMapping}, 0}};
    asked = query;
    return pieces[query.cursor == 0 ? 0 : query.cursor == 7 ? 1 : 2];
  }
  Result<ReloadReport> reload() override {
    if (reload_fails) return failure("x.toml:3:1: bad", "mend it");
    return ReloadReport{{"new"}, {"other"}, {"old"}, {"interface.mtu: 1420 -> 1380"}};
  }
  Result<void> set_peer(const PeerConfig& peer) override {
    std::erase_if(config_.peers, [&](const PeerConfig& other) { return other.name == peer.name; });
    config_.peers.push_back(peer);
    return {};
  }
  Result<void> remove_peer(const std::string& name) override {
    std::erase_if(config_.peers, [&](const PeerConfig& peer) { return peer.name == name; });
    return {};
  }
  void request_stop(StopKind kind) override {
    stop_kind = kind;
    stopped = true;
  }

  Config config_;
  MappingQuery asked;
  bool reload_fails = false;
  std::atomic<StopKind> stop_kind = StopKind::kTakeBack;
  std::atomic<bool> stopped = false;
};

Json ask(FakeNode& node, const std::string& request) {
  return Json::parse(handle_api_request(node, request, {}).line);
}

TEST(ApiRequest, RefusesWhatIsNoRequest) {
  FakeNode node;
  for (const std::string& request :
       {std::string(), std::string("garbage"), std::string("[]"), std::string("{}"),
        std::string(R"({"v":2,"op":"status"})"), std::string(R"({"v":"1","op":"status"})"),
        std::string(R"({"v":1})"), std::string(R"({"v":1,"op":"format_disk"})"),
        std::string(R"({"v":1,"op":["status"]})"), std::string(R"({"v":1,"op":"remove_peer"})"),
        std::string(R"({"v":1,"op":"add_peer","name":5})"),
        std::string(R"({"v":1,"op":"add_peer","name":"x","public_key":"short"})"),
        std::string("{\"v\":1,\"op\":\"\xff\xfe\"}"), std::string(100'000, '[')}) {
    const Json response = ask(node, request);
    EXPECT_EQ(response["ok"], false) << request.substr(0, 80);
    EXPECT_FALSE(response["error"]["message"].get<std::string>().empty());
  }
  EXPECT_THAT(node.config_.peers, SizeIs(1));
  EXPECT_FALSE(node.stopped);
}

TEST(ApiRequest, NamesTheFieldOfTheWrongKind) {
  FakeNode node;
  const Json response =
      ask(node, R"({"v":1,"op":"add_peer","name":"x","allowed_ips":["10.0.0.0/99"]})");
  EXPECT_THAT(response["error"]["message"].get<std::string>(), HasSubstr("'allowed_ips'"));
}

class LocalApi : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ringway-api-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    set_log_level(LogLevel::kError);
    socket_ = directory_ + "/run/test.sock";
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(directory_);
  }

  void start() {
    LocalApiServer::Options options;
    options.socket = socket_;
    options.max_clients = 4;
    options.idle_timeout = std::chrono::milliseconds(500);
    auto server = LocalApiServer::start(io_, options, node_);
    ASSERT_TRUE(server) << server.error().text();
    server_ = std::move(*server);
    thread_ = std::thread([this] { io_.run(); });
  }
  // As a daemon does it: the server goes on its own thread.
  void stop() {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] { server_.reset(); });
    thread_.join();
  }

  LocalApiClient client() {
    auto client = LocalApiClient::connect(socket_, "test0");
    EXPECT_TRUE(client) << client.error().text();
    return std::move(*client);
  }
  int raw_connection() const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void send_all(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (put <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
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

  std::string directory_;
  std::string socket_;
  FakeNode node_;
  boost::asio::io_context io_;
  std::unique_ptr<LocalApiServer> server_;
  std::thread thread_;
};

TEST_F(LocalApi, AnswersSeveralRequestsOnOneConnection) {
  start();
  LocalApiClient api = client();
  const auto status = api.status();
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(*status, full_sample_status());
  EXPECT_EQ(api.version().value(), RINGWAY_VERSION);
  EXPECT_THAT(api.metrics().value(), HasSubstr("ringway_up 1\n"));
  EXPECT_EQ(api.server_pid(), ::getpid());
}

TEST_F(LocalApi, PutsThePiecesOfTheMappingsTogether) {
  start();
  LocalApiClient api = client();
  MappingQuery query;
  query.subscriber = "gateway";
  query.external = kMapping.external;
  const auto mappings = api.mappings(query);
  ASSERT_TRUE(mappings) << mappings.error().text();
  EXPECT_THAT(*mappings, ElementsAre(kMapping, kMapping, kMapping));
  stop();
  EXPECT_EQ(node_.asked.subscriber, "gateway");
  EXPECT_EQ(node_.asked.protocol, std::nullopt);
  EXPECT_EQ(node_.asked.external, kMapping.external);
}

TEST_F(LocalApi, PassesReloadOnWithItsReportOrItsError) {
  start();
  LocalApiClient api = client();
  const auto report = api.reload();
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_THAT(report->added, ElementsAre("new"));
  EXPECT_THAT(report->needs_restart, ElementsAre("interface.mtu: 1420 -> 1380"));
  boost::asio::post(io_, [this] { node_.reload_fails = true; });
  const auto failed = api.reload();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().text(), "x.toml:3:1: bad (mend it)");
}

TEST_F(LocalApi, AddsChangesAndRemovesPeers) {
  start();
  LocalApiClient api = client();
  PeerEdit edit;
  edit.name = "phone";
  EXPECT_THAT(api.change_peer(edit).error().message, HasSubstr("no peer 'phone'"));
  EXPECT_THAT(api.add_peer(edit).error().text(), HasSubstr("public key"));
  edit.public_key = *parse_public_key(kNewKey);
  edit.allowed_ips = {*net::Prefix::parse("10.1.0.0/16")};
  EXPECT_THAT(api.add_peer(edit).error().message, HasSubstr("10.1.0.0/16"));
  edit.allowed_ips = {*net::Prefix::parse("10.2.0.0/16")};
  edit.preshared_key = generate_preshared_key();
  edit.endpoint = *PeerEndpoint::parse("gw.example.org:5");
  edit.type = PeerType::kRingway;
  ASSERT_TRUE(api.add_peer(edit));
  EXPECT_THAT(api.add_peer(edit).error().message, HasSubstr("already"));

  PeerEdit keepalive;
  keepalive.name = "phone";
  keepalive.persistent_keepalive_s = 25;
  ASSERT_TRUE(api.change_peer(keepalive));
  EXPECT_TRUE(api.remove_peer("gateway"));
  EXPECT_THAT(api.remove_peer("gateway").error().message, HasSubstr("no peer 'gateway'"));
  stop();
  ASSERT_THAT(node_.config_.peers, SizeIs(1));
  const PeerConfig& phone = node_.config_.peers[0];
  EXPECT_EQ(phone.name, "phone");
  EXPECT_TRUE(phone.preshared_key == *edit.preshared_key);
  EXPECT_EQ(phone.endpoint->to_string(), "gw.example.org:5");
  EXPECT_EQ(phone.suite, tunnel::Suite::kAes256Gcm);
  EXPECT_EQ(phone.persistent_keepalive_s, 25);
}

TEST_F(LocalApi, StopIsAnsweredBeforeTheEnd) {
  start();
  EXPECT_TRUE(client().stop());
  for (int i = 0; i < 500 && !node_.stopped; ++i)
    ::usleep(10'000);
  EXPECT_TRUE(node_.stopped);
  EXPECT_EQ(node_.stop_kind, StopKind::kTakeBack);
}

TEST_F(LocalApi, StopSaysWhetherAStartFollows) {
  FakeNode node;
  const auto stop_of = [&](const std::string& fields) {
    return handle_api_request(node, R"({"v":1,"op":"stop")" + fields + "}", {}).stop;
  };
  EXPECT_EQ(stop_of(""), StopKind::kTakeBack);
  EXPECT_EQ(stop_of(R"(,"for_restart":false)"), StopKind::kTakeBack);
  EXPECT_EQ(stop_of(R"(,"for_restart":true)"), StopKind::kForRestart);
  EXPECT_EQ(stop_of(R"(,"for_restart":"yes")"), std::nullopt);
}

TEST_F(LocalApi, RemovesItsSocketAtTheEnd) {
  start();
  EXPECT_TRUE(std::filesystem::exists(socket_));
  stop();
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

TEST_F(LocalApi, IsClosedToOthers) {
  start();
  struct stat info {};
  ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0660U);
}

TEST_F(LocalApi, EndsAnOversizeRequestWithAReason) {
  start();
  const int fd = raw_connection();
  send_all(fd, std::string(kMaxApiRequestBytes + 10, 'x'));
  EXPECT_THAT(read_all(fd), HasSubstr("at most 1048576 bytes"));
  EXPECT_TRUE(client().status());
}

TEST_F(LocalApi, AnswersGarbageAndGoesOn) {
  start();
  const int fd = raw_connection();
  send_all(fd, "garbage\n\n{\"v\":1,\"op\":\"version\"}\n");
  ::shutdown(fd, SHUT_WR);
  const std::string text = read_all(fd);
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
  EXPECT_THAT(text, HasSubstr("\"ok\":true"));
}

TEST_F(LocalApi, EndsIdleConnections) {
  start();
  EXPECT_EQ(read_all(raw_connection()), "");
  const int halfway = raw_connection();
  send_all(halfway, "{\"v\":1,");
  EXPECT_EQ(read_all(halfway), "");
}

TEST_F(LocalApi, BoundsItsClients) {
  start();
  std::vector<LocalApiClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(client());
    ASSERT_TRUE(clients.back().version());
  }
  EXPECT_EQ(read_all(raw_connection()), "") << "the fifth is closed at once";
  EXPECT_TRUE(clients[0].version());
}

TEST_F(LocalApi, ReplacesTheSocketOfADeadNode) {
  std::filesystem::create_directories(directory_ + "/run");
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(dead);
  ASSERT_TRUE(std::filesystem::exists(socket_));
  start();
  EXPECT_TRUE(client().version());
}

TEST_F(LocalApi, RefusesToReplaceALiveNode) {
  start();
  boost::asio::io_context other;
  FakeNode node;
  LocalApiServer::Options options;
  options.socket = socket_;
  const auto second = LocalApiServer::start(other, options, node);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text(), HasSubstr("another ringwayd answers at " + socket_));
  EXPECT_TRUE(client().version());
}

TEST_F(LocalApi, RefusesToReplaceAFileThatIsNoSocket) {
  std::filesystem::create_directories(directory_ + "/run");
  std::ofstream(socket_) << "precious";
  LocalApiServer::Options options;
  options.socket = socket_;
  const auto server = LocalApiServer::start(io_, options, node_);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text(), HasSubstr("is not a socket"));
  EXPECT_TRUE(std::filesystem::exists(socket_));
}

TEST_F(LocalApi, NamesAnUnknownGroup) {
  LocalApiServer::Options options;
  options.socket = socket_;
  options.group = "no-such-group-here";
  const auto server = LocalApiServer::start(io_, options, node_);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text(), HasSubstr("no-such-group-here"));
  EXPECT_FALSE(std::filesystem::exists(socket_)) << "nothing is left behind";
}

TEST_F(LocalApi, ClientSaysWhenNothingRuns) {
  const auto client = LocalApiClient::connect(socket_, "test0");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().text(),
            "ringwayd is not running for interface test0 (start it with: ringway up test0)");
}

}  // namespace
}  // namespace ringway::control
