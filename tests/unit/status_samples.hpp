// Status snapshots that several tests look at.
#pragma once

#include "controlplane/keys.hpp"
#include "controlplane/node_status.hpp"

namespace ringway::control {

// Every member differs from its default.
inline NodeStatus full_sample_status() {
  NodeStatus status;
  status.version = "0.1.0";
  status.pid = 4711;
  status.config = "/etc/ringway/ringway0.toml";
  status.interface = "ringway0";
  status.addresses = {*InterfaceAddress::parse("10.77.0.2/24"),
                      *InterfaceAddress::parse("fd77::2/64")};
  status.mtu = 1420;
  status.public_key = *parse_public_key("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
  status.listen_port = 51820;
  status.fwmark = 0x5257;
  status.state = NodeState::kRunning;
  status.since_unix_s = 1700000000;
  status.uptime_s = 93784;
  status.full_tunnel = {FullTunnelState::kActive, "gateway", "IPv4 and IPv6"};
  status.gateway = {true,      true, "wan0", "af_xdp", "", "native",
                    "ringway", 1234, 70,     1194,     5,  "/var/log/ringway/nat.log"};
  status.ports = {{"inner", "tun ringway0: vnet_hdr, TSO4, TSO6", 1, 2, 3, 4, 5, 6, 7},
                  {"outer", "udp 51820: GSO, GRO", 11, 12, 13, 14, 15, 16, 17},
                  {"wan0",
                   "af_xdp wan0 queue 0: native",
                   21,
                   22,
                   23,
                   24,
                   25,
                   26,
                   27,
                   {{"tunnel", 20}, {"nat_port", 0}, {"not_ip", 3}},
                   {{"rx_ring_full", 4}, {"rx_dropped", 0}}}};
  status.workers = {
      {"adaptive", 1U, "1", "aes256gcm: ipsec-mb (AVX512)", 100, 60, 40, 500, 600, 7}};
  DropCounters drops;
  drops.add(DropReason::kReplayed, 7);
  add_drops(status.drops, drops);
  status.handshakes = {{"accepted", 12}, {"unknown_peer", 3}};

  PeerStatus gateway;
  gateway.name = "gateway";
  gateway.public_key = *parse_public_key("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
  gateway.preshared_key = true;
  gateway.endpoint = *net::Endpoint::parse("192.0.2.1:51820");
  gateway.allowed_ips = {*net::Prefix::parse("0.0.0.0/0"), *net::Prefix::parse("::/0")};
  gateway.type = PeerType::kRingway;
  gateway.suite = tunnel::Suite::kAes256Gcm;
  gateway.persistent_keepalive_s = 25;
  gateway.up_mbps = 100;
  gateway.down_mbps = 400;
  gateway.session = SessionState::kEstablished;
  gateway.latest_handshake_unix_s = 1700093700;
  gateway.latest_handshake_age_s = 84;
  gateway.rx_packets = 1000;
  gateway.rx_bytes = 1536000;
  gateway.tx_packets = 500;
  gateway.tx_bytes = 900;

  PeerStatus phone;
  phone.name = "phone";
  phone.public_key = *parse_public_key("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
  phone.allowed_ips = {*net::Prefix::parse("10.77.0.9/32")};
  status.peers = {gateway, phone};
  return status;
}

}  // namespace ringway::control
