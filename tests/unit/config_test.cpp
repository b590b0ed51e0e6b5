#include "controlplane/config.hpp"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/config_schema.hpp"
#include "controlplane/keys.hpp"

namespace ringway::control {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr const char* kOwnPrivate = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
constexpr const char* kOwnPublic = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
constexpr const char* kKeyA = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=";
constexpr const char* kKeyB = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
constexpr const char* kPsk = "/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=";

ConfigHost test_host() {
  ConfigHost host;
  host.read_private_key = [](const std::string& path) -> Result<tunnel::PrivateKey> {
    if (path.ends_with("own.key")) return parse_private_key(kOwnPrivate);
    return failure("opening key file " + path + ": No such file or directory");
  };
  host.read_preshared_key = [](const std::string& path) -> Result<tunnel::PresharedKey> {
    if (path.ends_with("some.psk")) return parse_preshared_key(kPsk);
    return failure("opening key file " + path + ": No such file or directory");
  };
  host.interface_exists = [](const std::string& name) {
    return name == "wan0" || name.starts_with("lan");
  };
  host.group_exists = [](const std::string& name) { return name == "ringway"; };
  host.cpu_count = 2;
  return host;
}

std::string with_interface(const std::string& rest) {
  return "[interface]\nprivate_key_file = \"own.key\"\n" + rest;
}
std::string peer(const std::string& name, const std::string& key, const std::string& rest = "") {
  return "[[peer]]\nname = \"" + name + "\"\npublic_key = \"" + key + "\"\n" + rest;
}

tl::expected<Config, ConfigProblems> parse(const std::string& text) {
  return parse_config(text, "/etc/ringway/test.toml", test_host());
}
Config parse_good(const std::string& text) {
  auto config = parse(text);
  EXPECT_TRUE(config) << config.error().text();
  return config ? *config : Config{};
}

TEST(Config, DefaultsOfTheSmallestFile) {
  const Config config = parse_good(with_interface(""));
  EXPECT_EQ(config.interface.name, "ringway0");
  EXPECT_EQ(config.interface.private_key_file, "/etc/ringway/own.key");
  EXPECT_EQ(key_to_text(config.interface.public_key), kOwnPublic);
  EXPECT_EQ(config.interface.listen_port, 0);
  EXPECT_EQ(config.interface.mtu, 1420);
  EXPECT_EQ(config.interface.fwmark, 0x5257U);
  EXPECT_EQ(config.worker.poll, PollMode::kAdaptive);
  EXPECT_EQ(config.worker.count, 1U);
  EXPECT_THAT(config.worker.cpus, IsEmpty());
  EXPECT_FALSE(config.edge.full_tunnel);
  EXPECT_FALSE(config.gateway.enabled);
  EXPECT_EQ(config.api.socket, "/run/ringway/ringway0.sock");
  EXPECT_FALSE(config.metrics.listen);
  EXPECT_EQ(config.log.level, LogLevel::kInfo);
  EXPECT_EQ(config.state.directory, "/var/lib/ringway/ringway0");
  EXPECT_THAT(config.peers, IsEmpty());
}

TEST(Config, ReadsEveryKey) {
  const Config config = parse_good(R"([interface]
name = "wg5"
private_key_file = "/keys/own.key"
listen_port = 7
addresses = ["10.77.0.2/24", "fd77::2/64", "10.9.9.9"]
mtu = 9000
fwmark = 0x10
[worker]
count = 2
poll = "busy"
cpu = [1, 0]
[gateway]
masquerade = true
interface = "wan0"
io = "af_xdp"
xdp_interfaces = ["lan0", "wan0"]
xdp_frames = 4096
nat_log = "/var/log/ringway/nat.log"
subscriber_up_mbps = 100
subscriber_down_mbps = 400
[api]
socket = "/tmp/x.sock"
group = "ringway"
[metrics]
listen = "[::1]:9586"
[log]
level = "debug"
format = "json"
[state]
directory = "/tmp/state"
[[peer]]
name = "a"
public_key = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
preshared_key_file = "some.psk"
endpoint = "[2001:db8::1]:51820"
allowed_ips = ["10.77.0.7/24", "fd77::/64", "10.77.0.0/24"]
persistent_keepalive_s = 25
type = "ringway"
up_mbps = 0
down_mbps = 100000
[[peer]]
name = "b"
public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
endpoint = "gw.example.org:5"
type = "ringway"
suite = "chacha20poly1305"
)");
  EXPECT_EQ(config.interface.name, "wg5");
  EXPECT_EQ(config.interface.listen_port, 7);
  ASSERT_THAT(config.interface.addresses, SizeIs(3));
  EXPECT_EQ(config.interface.addresses[0].to_string(), "10.77.0.2/24");
  EXPECT_EQ(config.interface.addresses[0].network().to_string(), "10.77.0.0/24");
  EXPECT_EQ(config.interface.addresses[1].to_string(), "fd77::2/64");
  EXPECT_EQ(config.interface.addresses[2].to_string(), "10.9.9.9/32");
  EXPECT_EQ(config.interface.mtu, 9000);
  EXPECT_EQ(config.interface.fwmark, 0x10U);
  EXPECT_EQ(config.worker.poll, PollMode::kBusy);
  EXPECT_EQ(config.worker.count, 2U);
  EXPECT_THAT(config.worker.cpus, ElementsAre(1, 0));
  EXPECT_TRUE(config.gateway.enabled);
  EXPECT_TRUE(config.gateway.masquerade);
  EXPECT_EQ(config.gateway.interface, "wan0");
  EXPECT_EQ(config.gateway.io, GatewayIo::kAfXdp);
  EXPECT_THAT(config.gateway.xdp_interfaces, ElementsAre("lan0", "wan0"));
  EXPECT_EQ(config.gateway.xdp_frames, 4096U);
  EXPECT_EQ(config.gateway.nat_log, "/var/log/ringway/nat.log");
  EXPECT_EQ(config.api.socket, "/tmp/x.sock");
  EXPECT_EQ(config.api.group, "ringway");
  EXPECT_EQ(config.metrics.listen->to_string(), "[::1]:9586");
  EXPECT_EQ(config.log.level, LogLevel::kDebug);
  EXPECT_EQ(config.log.format, LogFormat::kJson);
  EXPECT_EQ(config.state.directory, "/tmp/state");
  ASSERT_THAT(config.peers, SizeIs(2));
  const PeerConfig& a = config.peers[0];
  EXPECT_EQ(key_to_text(a.public_key), kKeyA);
  EXPECT_EQ(key_to_text(a.preshared_key.span()), kPsk);
  EXPECT_EQ(a.endpoint->literal()->to_string(), "[2001:db8::1]:51820");
  ASSERT_THAT(a.allowed_ips, SizeIs(2)) << "the same prefix twice counts once";
  EXPECT_EQ(a.allowed_ips[0].to_string(), "10.77.0.0/24");
  EXPECT_EQ(a.persistent_keepalive_s, 25);
  EXPECT_EQ(a.suite, tunnel::Suite::kAes256Gcm) << "the default between Ringway nodes";
  EXPECT_EQ(a.limits, (RateLimits{.up_mbps = 0, .down_mbps = 100'000}));
  EXPECT_EQ(config.gateway.subscriber_limits, (RateLimits{.up_mbps = 100, .down_mbps = 400}));
  EXPECT_EQ(config.peers[1].limits, config.gateway.subscriber_limits) << "none of its own";
  EXPECT_EQ(config.peers[1].suite, tunnel::Suite::kChaCha20Poly1305);
  EXPECT_FALSE(config.peers[1].endpoint->literal());
  EXPECT_EQ(config.peers[1].endpoint->to_string(), "gw.example.org:5");
}

TEST(Config, GatewaysListenOnTheUsualPort) {
  EXPECT_EQ(parse_good(with_interface("[gateway]\n")).interface.listen_port, 51820);
  EXPECT_EQ(parse_good(with_interface("listen_port = 5\n[gateway]\n")).interface.listen_port, 5);
}

TEST(Config, AfXdpTakesOverTheInterfaceTowardsTheInternetByItself) {
  const Config config = parse_good(
      with_interface("[gateway]\nmasquerade = true\ninterface = \"wan0\"\nio = \"af_xdp\"\n"));
  EXPECT_THAT(config.gateway.xdp_interfaces, ElementsAre("wan0"));
}

TEST(Config, AutoHasTheInterfaceTowardsTheInternetAtHandForAfXdp) {
  const std::string gateway = "[gateway]\nmasquerade = true\ninterface = \"wan0\"\n";
  EXPECT_THAT(parse_good(with_interface(gateway)).gateway.xdp_interfaces, ElementsAre("wan0"));
  const Config kernel = parse_good(with_interface(gateway + "io = \"kernel\"\n"));
  EXPECT_THAT(kernel.gateway.xdp_interfaces, ElementsAre());
}

TEST(Config, AcceptsAPresharedKeyInPlaceOnlyInAPrivateFile) {
  const std::string text =
      with_interface(peer("a", kKeyA, std::string("preshared_key = \"") + kPsk + "\"\n"));
  ConfigHost host = test_host();
  host.file_is_private = true;
  const auto config = parse_config(text, "f.toml", host);
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(key_to_text(config->peers[0].preshared_key.span()), kPsk);
}

struct BadCase {
  const char* about;
  std::string text;
  unsigned line;
  std::vector<std::string> words;
};
void PrintTo(const BadCase& bad, std::ostream* out) {
  *out << bad.about;
}

class BadConfig : public testing::TestWithParam<BadCase> {};

TEST_P(BadConfig, IsReportedWhereItStands) {
  const BadCase& bad = GetParam();
  const auto config = parse(bad.text);
  ASSERT_FALSE(config);
  ASSERT_THAT(config.error().list, SizeIs(1)) << config.error().text();
  const ConfigProblem& problem = config.error().list[0];
  EXPECT_EQ(problem.line, bad.line) << config.error().text();
  for (const std::string& word : bad.words)
    EXPECT_THAT(problem.message, HasSubstr(word));
  EXPECT_THAT(config.error().text(),
              HasSubstr("/etc/ringway/test.toml:" + std::to_string(bad.line) + ":"));
}

std::vector<BadCase> bad_cases() {
  const std::string base = with_interface("");  // two lines
  const std::string af_xdp =
      base + "[gateway]\nmasquerade = true\ninterface = \"wan0\"\nio = \"af_xdp\"\n";  // six
  const auto interface = [&](const std::string& line) { return base + line + "\n"; };
  const auto peer_line = [&](const std::string& line) { return base + peer("a", kKeyA, line); };
  return {
      {"not_toml", "[interface\n", 1, {"not TOML"}},
      {"three_brackets", "[[[interface]]]\n", 1, {"not TOML"}},
      {"table_name", "[^]\n", 1, {"not TOML", "'^'"}},
      {"array_name", "[[^\n", 1, {"not TOML", "'^'"}},
      {"odd_character", "[interface]\n\xef\xbb\x88 = 1\n", 2, {"not TOML"}},
      {"accented_key", "[interface]\n\xc3\xa9 = 1\n", 2, {"not TOML"}},
      {"key_twice", interface("mtu = 1400\nmtu = 1401"), 4, {"not TOML", "mtu"}},
      {"unknown_section", base + "[interfaces]\n", 3, {"interfaces", "did you mean 'interface'?"}},
      {"key_outside_sections", "mtu = 1400\n" + base, 1, {"mtu", "key of [interface]"}},
      {"section_is_a_value", "interface = 5\n", 1, {"found 5", "[interface]"}},
      {"unknown_key", interface("adresses = []"), 3, {"adresses", "did you mean 'addresses'?"}},
      {"wg_quick_key", interface("ListenPort = 5"), 3, {"did you mean 'listen_port'?"}},
      {"key_of_another_section", interface("full_tunnel = true"), 3, {"it belongs to [edge]"}},
      {"far_off_key", base + "[worker]\nxyzzyxyzzy = 1\n", 4, {"expected one of count, poll, cpu"}},
      {"missing_private_key", "[interface]\nmtu = 1400\n", 1, {"private_key_file", "missing"}},
      {"absent_private_key", "[interface]\nprivate_key_file = \"no\"\n", 2, {"/etc/ringway/no"}},
      {"long_name", interface("name = \"a23456789012345x\""), 3, {"1 to 15"}},
      {"slash_in_name", interface("name = \"a/b\""), 3, {"\"a/b\""}},
      {"name_is_number", interface("name = 5"), 3, {"interface.name: found 5"}},
      {"unknown_io", base + "[gateway]\nio = \"dpdk\"\n", 4, {"\"dpdk\"", "af_xdp"}},
      {"af_xdp_without_masquerade",
       base + "[gateway]\ninterface = \"wan0\"\nio = \"af_xdp\"\n",
       5,
       {"gateway.masquerade = true"}},
      {"af_xdp_without_interface",
       base + "[gateway]\nmasquerade = true\nio = \"af_xdp\"\n",
       5,
       {"gateway.interface"}},
      {"af_xdp_interface_left_out",
       af_xdp + "xdp_interfaces = [\"lan0\"]\n",
       6,
       {"gateway.interface", "'wan0'", "xdp_interfaces"}},
      {"xdp_interface_twice",
       af_xdp + "xdp_interfaces = [\"wan0\", \"wan0\"]\n",
       7,
       {"each interface once"}},
      {"xdp_interface_absent",
       af_xdp + "xdp_interfaces = [\"wan0\", \"wan7\"]\n",
       7,
       {"\"wan7\"", "an interface that exists"}},
      {"xdp_interfaces_too_many",
       af_xdp + "xdp_interfaces = [\"wan0\", \"lan0\", \"lan1\", \"lan2\", \"lan3\"]\n",
       7,
       {"gateway.xdp_interfaces", "at most 4"}},
      {"xdp_interfaces_of_the_kernel",
       base + "[gateway]\nmasquerade = true\nio = \"kernel\"\nxdp_interfaces = [\"wan0\"]\n",
       6,
       {"gateway.xdp_interfaces", "af_xdp"}},
      {"too_few_xdp_frames", af_xdp + "xdp_frames = 100\n", 7, {"gateway.xdp_frames", "256"}},
      {"xdp_frames_of_the_kernel",
       base + "[gateway]\nmasquerade = true\nio = \"kernel\"\nxdp_frames = 4096\n",
       6,
       {"gateway.xdp_frames", "kernel"}},
      {"nat_log_without_a_nat",
       base + "[gateway]\nmasquerade = true\nnat_log = \"/var/log/nat.log\"\n",
       5,
       {"gateway.nat_log", "af_xdp"}},
      {"nat_log_not_absolute",
       base + "[gateway]\nnat_log = \"nat.log\"\n",
       4,
       {"gateway.nat_log", "absolute path"}},
      {"negative_limit",
       base + "[gateway]\nsubscriber_up_mbps = -1\n",
       4,
       {"gateway.subscriber_up_mbps: found -1", "0 to 100000"}},
      {"limit_with_a_fraction",
       base + "[gateway]\nsubscriber_down_mbps = 1.5\n",
       4,
       {"subscriber_down_mbps", "fraction"}},
      {"high_limit", peer_line("up_mbps = 100001\n"), 6, {"peer.up_mbps", "0 to 100000"}},
      {"limit_with_a_unit", peer_line("down_mbps = \"5M\"\n"), 6, {"peer.down_mbps", "\"5M\""}},
      {"high_port", interface("listen_port = 65536"), 3, {"found 65536", "0 to 65535"}},
      {"negative_port", interface("listen_port = -1"), 3, {"found -1"}},
      {"text_port", interface("listen_port = \"51820\""), 3, {"found \"51820\"", "whole number"}},
      {"small_mtu", interface("mtu = 1279"), 3, {"1280 to 65455"}},
      {"large_mtu", interface("mtu = 65456"), 3, {"1280 to 65455"}},
      {"fraction", interface("mtu = 1420.5"), 3, {"fraction"}},
      {"large_mark", interface("fwmark = 0x100000000"), 3, {"4294967295"}},
      {"bad_address",
       interface("addresses = [\"10.0.0.1/24\",\n \"10.0.0.300/24\"]"),
       4,
       {"10.0.0.300/24", "10.77.0.2/24"}},
      {"address_not_a_list", interface("addresses = \"10.0.0.1/24\""), 3, {"a list of addresses"}},
      {"address_twice", interface("addresses = [\"10.0.0.1/24\", \"10.0.0.1/24\"]"), 3, {"once"}},
      {"poll_mode",
       base + "[worker]\npoll = \"lazy\"\n",
       4,
       {"\"lazy\"", "\"adaptive\" or \"busy\""}},
      {"no_worker", base + "[worker]\ncount = 0\n", 4, {"1 to 16"}},
      {"too_many_workers", base + "[worker]\ncount = 17\n", 4, {"1 to 16"}},
      {"cpu_of_one_of_two",
       base + "[worker]\ncount = 2\ncpu = 1\n",
       5,
       {"found 1 for worker.count = 2", "a CPU for each"}},
      {"cpu_for_nobody", base + "[worker]\ncpu = [0, 1]\n", 4, {"found 2 for worker.count = 1"}},
      {"cpu_twice", base + "[worker]\ncount = 2\ncpu = [1, 1]\n", 5, {"each CPU once"}},
      {"absent_cpu", base + "[worker]\ncpu = 2\n", 4, {"0 to 1"}},
      {"wan_interface", base + "[gateway]\ninterface = \"eth9\"\n", 4, {"eth9", "ip link"}},
      {"relative_socket", base + "[api]\nsocket = \"x.sock\"\n", 4, {"absolute path"}},
      {"long_socket", base + "[api]\nsocket = \"/" + std::string(107, 'x') + "\"\n", 4, {"107"}},
      {"unknown_group", base + "[api]\ngroup = \"nobodies\"\n", 4, {"nobodies"}},
      {"public_metrics", base + "[metrics]\nlisten = \"0.0.0.0:9586\"\n", 4, {"loopback"}},
      {"metrics_without_port", base + "[metrics]\nlisten = \"127.0.0.1\"\n", 4, {"loopback"}},
      {"log_level", base + "[log]\nlevel = \"loud\"\n", 4, {"\"loud\"", "\"warn\""}},
      {"state_number", base + "[state]\ndirectory = 7\n", 4, {"found 7"}},
      {"peer_single_brackets", base + "[peer]\nname = \"a\"\n", 3, {"[[peer]]"}},
      {"peer_without_name",
       base + "[[peer]]\npublic_key = \"" + kKeyA + "\"\n",
       3,
       {"peer.name: missing"}},
      {"peer_name", base + peer("a b", kKeyA), 4, {"\"a b\"", "letters"}},
      {"peer_without_key", base + "[[peer]]\nname = \"a\"\n", 3, {"peer.public_key: missing"}},
      {"peer_key_short", base + peer("a", std::string(kKeyA).substr(1)), 5, {"44 characters"}},
      {"peer_key_zero",
       base + peer("a", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
       5,
       {"ringway pubkey"}},
      {"own_key", base + peer("a", kOwnPublic), 5, {"this node's own", "'a'"}},
      {"same_key", base + peer("a", kKeyA) + peer("b", kKeyA), 8, {"'a'", "'b'", "same key"}},
      {"same_name", base + peer("a", kKeyA) + peer("a", kKeyB), 7, {"no other peer"}},
      {"same_prefix",
       base + peer("a", kKeyA, "allowed_ips = [\"10.1.0.0/16\"]\n") +
           peer("b", kKeyB, "allowed_ips = [\"10.1.2.3/16\"]\n"),
       10,
       {"10.1.0.0/16", "'a'", "'b'"}},
      {"two_defaults",
       base + peer("a", kKeyA, "allowed_ips = [\"0.0.0.0/0\"]\n") +
           peer("b", kKeyB, "allowed_ips = [\"0.0.0.0/0\"]\n"),
       10,
       {"0.0.0.0/0", "'a'", "'b'"}},
      {"prefix", peer_line("allowed_ips = [\"10.0.0.0/33\"]\n"), 6, {"10.0.0.0/33"}},
      {"prefix_number", peer_line("allowed_ips = [5]\n"), 6, {"found 5"}},
      {"endpoint_without_port", peer_line("endpoint = \"192.0.2.1\"\n"), 6, {"192.0.2.1:51820"}},
      {"endpoint_port", peer_line("endpoint = \"gw.example.org:65536\"\n"), 6, {"65536"}},
      {"endpoint_bad_address", peer_line("endpoint = \"192.0.2.300:5\"\n"), 6, {"192.0.2.300"}},
      {"endpoint_bad_name", peer_line("endpoint = \"-x.example.org:5\"\n"), 6, {"-x.example.org"}},
      {"keepalive", peer_line("persistent_keepalive_s = 65536\n"), 6, {"0 to 65535"}},
      {"type", peer_line("type = \"openvpn\"\n"), 6, {"\"wireguard\" or \"ringway\""}},
      {"suite", peer_line("suite = \"rot13\"\n"), 6, {"\"chacha20poly1305\" or \"aes256gcm\""}},
      {"suite_of_stock_peer",
       peer_line("suite = \"aes256gcm\"\n"),
       6,
       {"stock WireGuard", "type = \"ringway\""}},
      {"absent_psk_file", peer_line("preshared_key_file = \"no\"\n"), 6, {"/etc/ringway/no"}},
      {"psk_in_open_file",
       peer_line(std::string("preshared_key = \"") + kPsk + "\"\n"),
       6,
       {"chmod 600 /etc/ringway/test.toml"}},
      {"two_psks",
       peer_line(std::string("preshared_key_file = \"some.psk\"\npreshared_key = \"") + kPsk +
                 "\"\n"),
       7,
       {"one of the two"}},
      {"full_tunnel_without_exit",
       base + "addresses = [\"10.0.0.1/24\"]\n[edge]\nfull_tunnel = true\n",
       5,
       {"0.0.0.0/0 or ::/0"}},
      {"full_tunnel_without_endpoint",
       base + "addresses = [\"10.0.0.1/24\"]\n[edge]\nfull_tunnel = true\n" +
           peer("a", kKeyA, "allowed_ips = [\"::/0\"]\n"),
       5,
       {"'a'", "no endpoint"}},
      {"full_tunnel_without_address",
       base + "[edge]\nfull_tunnel = true\n" +
           peer("a", kKeyA, "allowed_ips = [\"::/0\"]\nendpoint = \"192.0.2.1:5\"\n"),
       4,
       {"interface.addresses"}},
      {"full_tunnel_without_mark",
       base + "addresses = [\"10.0.0.1/24\"]\nfwmark = 0\n[edge]\nfull_tunnel = true\n" +
           peer("a", kKeyA, "allowed_ips = [\"::/0\"]\nendpoint = \"192.0.2.1:5\"\n"),
       6,
       {"fwmark = 0"}},
      {"full_tunnel_truth", base + "[edge]\nfull_tunnel = \"yes\"\n", 4, {"true or false"}},
  };
}

INSTANTIATE_TEST_SUITE_P(All, BadConfig, testing::ValuesIn(bad_cases()),
                         [](const auto& bad) { return std::string(bad.param.about); });

TEST(Config, ReportsSeveralProblemsInTheOrderOfTheFile) {
  const auto config = parse(with_interface("mtu = 5\nlisten_port = -1\n[log]\nlevel = 3\n"));
  ASSERT_FALSE(config);
  ASSERT_THAT(config.error().list, SizeIs(3));
  EXPECT_EQ(config.error().list[0].line, 3U);
  EXPECT_EQ(config.error().list[1].line, 4U);
  EXPECT_EQ(config.error().list[2].line, 6U);
}

TEST(Config, ReportsAtMostTenProblemsAndCountsTheRest) {
  std::string text = with_interface("");
  for (int i = 0; i < 14; ++i)
    text += "zzzzzzzz" + std::to_string(i) + " = 1\n";
  const auto config = parse(text);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().list, SizeIs(10));
  EXPECT_EQ(config.error().omitted, 4U);
  EXPECT_THAT(config.error().text(), HasSubstr("and 4 more"));
}

TEST(Config, NeverRepeatsKeyMaterial) {
  const std::string bad_psk = std::string(kPsk).substr(0, 43) + "!";
  for (const std::string& key : {std::string(kPsk), bad_psk}) {
    const auto config =
        parse(with_interface(peer("a", kKeyA, "preshared_key = \"" + key + "\"\n") +
                             "privatekey = \"" + std::string(kOwnPrivate) + "\"\n"));
    ASSERT_FALSE(config);
    EXPECT_THAT(config.error().text(), AllOf(Not(HasSubstr("UwcSPg38")), Not(HasSubstr("dwdt"))));
  }
}

TEST(Config, KeepsMessagesOnOneLine) {
  const auto config = parse(with_interface("name = \"a\\nb\\u001b[31m\"\n"));
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().list[0].message,
              AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\x1b")), HasSubstr("a?b")));
}

TEST(Config, TakesAnyLanguageInCommentsAndPaths) {
  const Config config = parse_good(
      "# \xc3\xa9t\xc3\xa9 \xef\xbb\x88\n[interface]\nprivate_key_file = \"\xc3\xa9/own.key\" # "
      "\xc3\xa9\n");
  EXPECT_EQ(config.interface.private_key_file, "/etc/ringway/\xc3\xa9/own.key");
}

TEST(Config, MissingFileIsOneClearLine) {
  const auto config = load_config("/nonexistent/ringway.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message,
            "/nonexistent/ringway.toml: cannot be opened: No such file or directory");
}

TEST(Config, ExampleIsValidAndDocumentsEveryKey) {
  std::ifstream file(RINGWAY_SOURCE_DIR "/packaging/ringway.toml.example");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto config = parse_config(text, "ringway.toml.example", [] {
    ConfigHost host = test_host();
    host.read_private_key = [](const std::string&) { return parse_private_key(kOwnPrivate); };
    return host;
  }());
  EXPECT_TRUE(config) << config.error().text();
  const auto mentions = [&](const std::string& line) {
    return text.find("\n" + line) != std::string::npos ||
           text.find("\n#" + line) != std::string::npos;
  };
  for (const SectionSchema& section : config_schema()) {
    EXPECT_TRUE(mentions("[" + std::string(section.name) + "]") ||
                mentions("[[" + std::string(section.name) + "]]"))
        << section.name;
    for (const std::string_view key : section.keys) {
      EXPECT_TRUE(mentions(std::string(key) + " = ")) << section.name << "." << key;
    }
  }
}

// --- changes ---

Config two_peers() {
  return parse_good(with_interface(
      peer("a", kKeyA, "allowed_ips = [\"10.1.0.0/16\"]\nendpoint = \"192.0.2.1:5\"\n") +
      peer("b", kKeyB, "type = \"ringway\"\n")));
}

TEST(ConfigDiff, OfEqualConfigsIsEmpty) {
  EXPECT_TRUE(diff_config(two_peers(), two_peers()).empty());
}

TEST(ConfigDiff, NamesWhatChangedInAPeer) {
  Config now = two_peers();
  now.peers[0].endpoint = *PeerEndpoint::parse("192.0.2.2:5");
  now.peers[1].persistent_keepalive_s = 5;
  now.peers[1].preshared_key = generate_preshared_key();
  const ConfigDiff diff = diff_config(two_peers(), now);
  ASSERT_THAT(diff.changed, SizeIs(2));
  EXPECT_TRUE(diff.changed[0].endpoint);
  EXPECT_FALSE(diff.changed[0].handshake || diff.changed[0].allowed_ips ||
               diff.changed[0].keepalive);
  EXPECT_TRUE(diff.changed[1].handshake && diff.changed[1].keepalive);
  EXPECT_FALSE(diff.changed[1].endpoint || diff.changed[1].allowed_ips);
  EXPECT_THAT(diff.added, IsEmpty());
  EXPECT_THAT(diff.removed, IsEmpty());
  EXPECT_THAT(diff.needs_restart, IsEmpty());
}

TEST(ConfigDiff, AnotherLimitForAllSubscribersChangesThosePeersThatHaveNoneOfTheirOwn) {
  const auto limited = [](const std::string& rate) {
    return parse_good(with_interface("[gateway]\nsubscriber_down_mbps = " + rate + "\n" +
                                     peer("a", kKeyA) + peer("b", kKeyB, "down_mbps = 7\n")));
  };
  const ConfigDiff diff = diff_config(limited("100"), limited("200"));
  ASSERT_THAT(diff.changed, SizeIs(1));
  EXPECT_EQ(diff.changed[0].now.name, "a");
  EXPECT_EQ(diff.changed[0].now.limits.down_mbps, 200U);
  EXPECT_TRUE(diff.changed[0].limits);
  EXPECT_FALSE(diff.changed[0].handshake || diff.changed[0].endpoint);
  EXPECT_THAT(diff.needs_restart, IsEmpty());
}

TEST(ConfigDiff, FindsAddedAndRemovedPeers) {
  Config now = two_peers();
  now.peers.erase(now.peers.begin());
  now.peers.push_back(now.peers[0]);
  now.peers[1].name = "c";
  now.peers[1].public_key = *parse_public_key(kOwnPublic);
  const ConfigDiff diff = diff_config(two_peers(), now);
  EXPECT_THAT(diff.removed, ElementsAre("a"));
  ASSERT_THAT(diff.added, SizeIs(1));
  EXPECT_EQ(diff.added[0].name, "c");
  EXPECT_THAT(diff.changed, IsEmpty());
}

TEST(ConfigDiff, AnotherPublicKeyIsAnotherPeer) {
  Config now = two_peers();
  now.peers[0].public_key = *parse_public_key(kOwnPublic);
  const ConfigDiff diff = diff_config(two_peers(), now);
  EXPECT_THAT(diff.removed, ElementsAre("a"));
  ASSERT_THAT(diff.added, SizeIs(1));
  EXPECT_EQ(diff.added[0].name, "a");
}

TEST(ConfigDiff, NamesSettingsThatNeedARestart) {
  Config now = two_peers();
  now.interface.mtu = 1380;
  now.worker.count = 2;
  now.worker.cpus = {1, 0};
  now.log.level = LogLevel::kDebug;
  now.interface.private_key = generate_private_key();
  const ConfigDiff diff = diff_config(two_peers(), now);
  EXPECT_THAT(diff.needs_restart,
              ElementsAre(HasSubstr("interface.private_key_file"), "interface.mtu: 1420 -> 1380",
                          "worker.count: 1 -> 2", "worker.cpu: unset -> 1, 0"));
  EXPECT_TRUE(diff.log_level);
}

TEST(PeerEdit, KeepsWhatItDoesNotName) {
  PeerEdit edit;
  edit.name = "a";
  edit.persistent_keepalive_s = 25;
  const auto peer = apply_peer_edit(two_peers(), edit);
  ASSERT_TRUE(peer) << peer.error().text();
  PeerConfig expected = two_peers().peers[0];
  expected.persistent_keepalive_s = 25;
  EXPECT_EQ(*peer, expected);
}

TEST(PeerEdit, ANewPeerHasTheLimitsOfAllSubscribers) {
  Config config = two_peers();
  config.gateway.subscriber_limits = {.up_mbps = 10, .down_mbps = 20};
  PeerEdit edit{.name = "c", .public_key = *parse_public_key(kOwnPublic)};
  config.interface.public_key = {};
  edit.down_mbps = 5;
  const auto peer = apply_peer_edit(config, edit);
  ASSERT_TRUE(peer) << peer.error().text();
  EXPECT_EQ(peer->limits, (RateLimits{.up_mbps = 10, .down_mbps = 5}));
  edit.down_mbps = kMaxLimitMbps + 1;
  EXPECT_FALSE(apply_peer_edit(config, edit));
}

TEST(PeerEdit, FollowsTheRulesOfTheFile) {
  const auto error_of = [](const PeerEdit& edit) {
    const auto peer = apply_peer_edit(two_peers(), edit);
    return peer ? std::string("accepted") : peer.error().text();
  };
  PeerEdit unknown{.name = "c"};
  EXPECT_THAT(error_of(unknown), AllOf(HasSubstr("no peer 'c'"), HasSubstr("public key")));
  PeerEdit own{.name = "c", .public_key = *parse_public_key(kOwnPublic)};
  EXPECT_THAT(error_of(own), HasSubstr("this node's own"));
  PeerEdit taken{.name = "c", .public_key = *parse_public_key(kKeyA)};
  EXPECT_THAT(error_of(taken), HasSubstr("'a'"));
  PeerEdit overlap{.name = "b", .allowed_ips = {{*net::Prefix::parse("10.1.0.0/16")}}};
  EXPECT_THAT(error_of(overlap), AllOf(HasSubstr("10.1.0.0/16"), HasSubstr("'a'")));
  PeerEdit suite{.name = "a", .suite = tunnel::Suite::kAes256Gcm};
  EXPECT_THAT(error_of(suite), HasSubstr("stock WireGuard"));
  PeerEdit name{.name = "a b"};
  EXPECT_THAT(error_of(name), HasSubstr("not a peer name"));
  PeerEdit zero{.name = "c", .public_key = tunnel::PublicKey{}};
  EXPECT_THAT(error_of(zero), HasSubstr("none that a peer can have"));
}

}  // namespace
}  // namespace ringway::control
