#include "controlplane/cli/show.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/status_samples.hpp"

namespace ringway::control::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

const Palette kPlain(false);

TEST(Show, DurationsReadAsWgPrintsThem) {
  EXPECT_EQ(duration_text(0, kPlain), "0 seconds");
  EXPECT_EQ(duration_text(1, kPlain), "1 second");
  EXPECT_EQ(duration_text(62, kPlain), "1 minute, 2 seconds");
  EXPECT_EQ(duration_text(86400, kPlain), "1 day");
  EXPECT_EQ(duration_text(365 * 86400 + 3 * 86400 + 7200, kPlain), "1 year, 3 days, 2 hours");
}

TEST(Show, BytesReadAsWgPrintsThem) {
  EXPECT_EQ(bytes_text(0, kPlain), "0 B");
  EXPECT_EQ(bytes_text(1023, kPlain), "1023 B");
  EXPECT_EQ(bytes_text(1024, kPlain), "1.00 KiB");
  EXPECT_EQ(bytes_text(1536 * 1024, kPlain), "1.50 MiB");
  EXPECT_EQ(bytes_text(3ULL << 30, kPlain), "3.00 GiB");
  EXPECT_EQ(bytes_text(5000ULL << 40, kPlain), "5000.00 TiB");
}

TEST(Show, LooksLikeWgShow) {
  EXPECT_EQ(render_show(full_sample_status(), kPlain),
            "interface: ringway0\n"
            "  public key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"
            "  private key: (hidden)\n"
            "  listening port: 51820\n"
            "  fwmark: 0x5257\n"
            "\n"
            "peer: 3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=\n"
            "  name: gateway\n"
            "  preshared key: (hidden)\n"
            "  endpoint: 192.0.2.1:51820\n"
            "  allowed ips: 0.0.0.0/0, ::/0\n"
            "  cipher suite: aes256gcm\n"
            "  latest handshake: 1 minute, 24 seconds ago\n"
            "  transfer: 1.46 MiB received, 900 B sent\n"
            "  limits: 100 Mbit/s up, 400 Mbit/s down\n"
            "  persistent keepalive: every 25 seconds\n"
            "\n"
            "peer: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"
            "  name: phone\n"
            "  allowed ips: 10.77.0.9/32\n");
}

TEST(Show, PutsTheNewestHandshakeFirst) {
  NodeStatus status = full_sample_status();
  status.peers[1].latest_handshake_unix_s = status.peers[0].latest_handshake_unix_s + 1;
  status.peers[1].latest_handshake_age_s = 0;
  const std::string text = render_show(status, kPlain);
  EXPECT_LT(text.find("name: phone"), text.find("name: gateway"));
  EXPECT_THAT(text, HasSubstr("latest handshake: Now\n"));
}

TEST(Show, ColoursOnlyWhenAsked) {
  EXPECT_THAT(render_show(full_sample_status(), kPlain), Not(HasSubstr("\x1b")));
  EXPECT_THAT(render_show(full_sample_status(), Palette(true)), HasSubstr("\x1b[33m"));
}

std::string field(const char* name, bool interface_first = false) {
  return render_field(full_sample_status(), name, interface_first).value();
}

TEST(ShowField, PrintsWhatScriptsOfWgExpect) {
  const std::string gateway = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=";
  const std::string phone = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
  EXPECT_EQ(field("public-key"), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n");
  EXPECT_EQ(field("private-key"), "(hidden)\n");
  EXPECT_EQ(field("listen-port"), "51820\n");
  EXPECT_EQ(field("fwmark"), "0x5257\n");
  EXPECT_EQ(field("peers"), gateway + "\n" + phone + "\n");
  EXPECT_EQ(field("endpoints"), gateway + "\t192.0.2.1:51820\n" + phone + "\t(none)\n");
  EXPECT_EQ(field("allowed-ips"), gateway + "\t0.0.0.0/0 ::/0\n" + phone + "\t10.77.0.9/32\n");
  EXPECT_EQ(field("latest-handshakes"), gateway + "\t1700093700\n" + phone + "\t0\n");
  EXPECT_EQ(field("transfer"), gateway + "\t1536000\t900\n" + phone + "\t0\t0\n");
  EXPECT_EQ(field("persistent-keepalive"), gateway + "\t25\n" + phone + "\toff\n");
  EXPECT_EQ(field("preshared-keys"), gateway + "\t(hidden)\n" + phone + "\t(none)\n");
  EXPECT_EQ(field("dump"),
            "(hidden)\thSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\t51820\t0x5257\n" + gateway +
                "\t(hidden)\t192.0.2.1:51820\t0.0.0.0/0,::/0\t1700093700\t1536000\t900\t25\n" +
                phone + "\t(none)\t(none)\t10.77.0.9/32\t0\t0\t0\toff\n");
}

TEST(ShowField, BeginsWithTheInterfaceWhenThereAreSeveral) {
  EXPECT_EQ(field("listen-port", true), "ringway0\t51820\n");
}

TEST(ShowField, NamesTheFieldsThereAre) {
  const auto text = render_field({}, "colour", false);
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().text(), HasSubstr("latest-handshakes"));
}

TEST(ShowField, HasAJsonFormEach) {
  for (const std::string& name : show_fields()) {
    EXPECT_TRUE(field_to_json(full_sample_status(), name)) << name;
  }
  const Json transfer = field_to_json(full_sample_status(), "transfer").value();
  EXPECT_EQ(transfer["3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="]["rx_bytes"], 1536000);
}

TEST(Status, TellsTheWholeNode) {
  EXPECT_EQ(render_status(full_sample_status(), kPlain),
            "ringway0: running for 1 day, 2 hours, 3 minutes, 4 seconds (ringwayd 0.1.0, pid "
            "4711)\n"
            "  configuration: /etc/ringway/ringway0.toml\n"
            "  addresses: 10.77.0.2/24, fd77::2/64\n"
            "  mtu: 1420\n"
            "  public key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"
            "  listening port: 51820\n"
            "  full tunnel: active through gateway (IPv4 and IPv6)\n"
            "  gateway: masquerading to wan0 by AF_XDP (native), 1234 mappings\n"
            "  peers: 2, 1 with a session\n"
            "  worker: adaptive, CPU 1, 100 loops, 500 packets sealed, "
            "600 opened, 7 handed over; aes256gcm: ipsec-mb (AVX512)\n"
            "  inner port: tun ringway0: vnet_hdr, TSO4, TSO6; 2 B received, 5 B sent, 7 dropped\n"
            "  outer port: udp 51820: GSO, GRO; 12 B received, 15 B sent, 17 dropped\n"
            "  wan0 port: af_xdp wan0 queue 0: native; 22 B received, 25 B sent, 27 dropped\n"
            "  wan0 steering: tunnel 20, not_ip 3\n"
            "  wan0 ring losses: rx_ring_full 4\n"
            "  dropped packets: replayed 7\n"
            "  handshakes: accepted 12, unknown_peer 3\n");
}

TEST(Status, SaysWhyTheKernelForwards) {
  NodeStatus status = full_sample_status();
  status.gateway.io = "kernel";
  status.gateway.io_reason = "wan0 (veth) has no AF_XDP zero-copy";
  EXPECT_THAT(render_status(status, kPlain),
              HasSubstr("  gateway: masquerading to wan0 by the kernel (wan0 (veth) has no AF_XDP "
                        "zero-copy)\n"));
}

TEST(Peers, AreATable) {
  NodeStatus status = full_sample_status();
  status.peers[0].allowed_ips.pop_back();
  EXPECT_EQ(
      render_peers(status, kPlain),
      "NAME     SESSION      ENDPOINT         LATEST HANDSHAKE          RECEIVED  SENT   ALLOWED "
      "IPS\n"
      "gateway  established  192.0.2.1:51820  1 minute, 24 seconds ago  1.46 MiB  900 B  "
      "0.0.0.0/0\n"
      "phone    none         (none)           never                     0 B       0 B    "
      "10.77.0.9/32\n");
}

}  // namespace
}  // namespace ringway::control::cli
