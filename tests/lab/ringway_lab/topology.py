"""The machines of the laboratory and their addresses (documentation ranges only).

    edge ──┐                                                        ┌ web server
           ├── router (access network) ── gateway (masquerades) ── internet ┤ name server
    stock ─┘                                                        └ iperf3

The edges are not on-link with the gateway. The Internet has no route back to anything but its own
link, so what arrives there without the gateway's address as its source gets no answer.

OneArmed is the same with a gateway that has one interface, in the access network; WithoutNativeXdp the
same with a gateway whose interfaces cannot run XDP by themselves; OneArmedWithoutNativeXdp both; SeveralQueues the same with a gateway
whose interfaces spread flows over queues; SlowWires the same with links of the gateway's that are slower than
it is.
"""

from dataclasses import dataclass, field

from .lab import Lab, Namespace

TUNNEL_PORT = 51820
EDGE_PORT = 51821

INNER_PREFIX4 = "198.51.100.128/25"
INNER_PREFIX6 = "2001:db8:77::/64"


@dataclass
class Edge:
    """A machine behind the access network, and the addresses reserved for it in the tunnel."""
    namespace: Namespace
    index: int

    @property
    def name(self):
        return self.namespace.short_name

    @property
    def outer4(self):
        return f"192.0.2.{16 * self.index + 2}"

    @property
    def router4(self):
        return f"192.0.2.{16 * self.index + 1}"

    @property
    def outer6(self):
        return f"2001:db8:a:{self.index + 1}::2"

    @property
    def router6(self):
        return f"2001:db8:a:{self.index + 1}::1"

    @property
    def inner4(self):
        return f"198.51.100.{130 + self.index}"

    @property
    def inner6(self):
        return f"2001:db8:77::{self.index + 2:x}"

    @property
    def router_interface(self):
        return f"to-{self.name}"

    def outer(self, family):
        return self.outer4 if family == 4 else self.outer6


@dataclass
class Topology:
    lab: Lab
    edges: dict = field(default_factory=dict)

    gateway4 = "203.0.113.2"
    gateway6 = "2001:db8:2::2"
    router4 = "203.0.113.1"
    router6 = "2001:db8:2::1"
    wan4 = "198.51.100.1"
    wan6 = "2001:db8:3::1"
    internet4 = "198.51.100.2"
    internet6 = "2001:db8:3::2"
    gateway_inner4 = "198.51.100.129"
    gateway_inner6 = "2001:db8:77::1"
    far4 = "192.0.2.242"
    far6 = "2001:db8:4::2"
    gateway_interfaces = ("lan", "wan")
    xdp_mode = "native"  # in which a gateway's interfaces run XDP

    def __post_init__(self):
        self.router = self.lab.namespace("router")
        self.gateway = self.lab.namespace("gateway")
        self.internet = self.lab.namespace("internet")
        self.router.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        self._connect_access()
        self._connect_internet()

    def _link(self, one, one_interface, other, other_interface):
        self.lab.link(one, one_interface, other, other_interface)

    def _connect_access(self):
        interface = self.gateway_interfaces[0]
        self._link(self.router, "to-gateway", self.gateway, interface)
        self.router.ip(f"addr add {self.router4}/24 dev to-gateway",
                       f"addr add {self.router6}/64 dev to-gateway nodad",
                       f"route add default via {self.gateway4}",
                       f"route add default via {self.gateway6}",
                       # Answers to spoofed senders end here and not in a loop.
                       "route add blackhole 192.0.2.0/24", "route add blackhole 2001:db8:a::/48")
        self.gateway.ip(f"addr add {self.gateway4}/24 dev {interface}",
                        f"addr add {self.gateway6}/64 dev {interface} nodad",
                        f"route add 192.0.2.0/24 via {self.router4}",
                        f"route add 2001:db8:a::/48 via {self.router6}")

    def _connect_internet(self):
        self._link(self.internet, "uplink", self.gateway, "wan")
        self.gateway.ip(f"addr add {self.wan4}/25 dev wan", f"addr add {self.wan6}/64 dev wan nodad")
        self.internet.ip(f"addr add {self.internet4}/25 dev uplink",
                         f"addr add {self.internet6}/64 dev uplink nodad")

    def add_edge(self, name):
        edge = Edge(self.lab.namespace(name), len(self.edges))
        self.edges[name] = edge
        self.lab.link(self.router, edge.router_interface, edge.namespace, "uplink")
        self.router.ip(f"addr add {edge.router4}/28 dev {edge.router_interface}",
                       f"addr add {edge.router6}/64 dev {edge.router_interface} nodad")
        edge.namespace.ip(f"addr add {edge.outer4}/28 dev uplink",
                          f"addr add {edge.outer6}/64 dev uplink nodad",
                          f"route add default via {edge.router4}",
                          f"route add default via {edge.router6}")
        return edge

    def add_far_host(self, mtu):
        """A machine behind the Internet's first hop, on a link of the given MTU; the gateway has routes to it."""
        far = self.lab.namespace("far")
        self.lab.link(self.internet, "to-far", far, "uplink")
        self.internet.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        self.internet.ip(f"link set mtu {mtu} dev to-far", "addr add 192.0.2.241/28 dev to-far",
                         "addr add 2001:db8:4::1/64 dev to-far nodad")
        far.ip(f"link set mtu {mtu} dev uplink", f"addr add {self.far4}/28 dev uplink",
               f"addr add {self.far6}/64 dev uplink nodad",
               "route add default via 192.0.2.241", "route add default via 2001:db8:4::1")
        self._route_to_far()
        return far

    def _route_to_far(self):
        self.gateway.ip(f"route add 192.0.2.240/28 via {self.internet4}",
                        f"route add 2001:db8:4::/64 via {self.internet6}")

    def hops_to_internet(self, family):
        """Between the gateway and the Internet's first hop."""
        return []

    def gateway_address(self, family):
        return self.gateway4 if family == 4 else self.gateway6

    def gateway_endpoint(self, family=4, port=TUNNEL_PORT):
        return f"{self.gateway4}:{port}" if family == 4 else f"[{self.gateway6}]:{port}"

    def forward_and_masquerade(self):
        """Makes the gateway an ordinary NAT router, as for `plain` and for wireguard-go."""
        self.gateway.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        self.gateway.nft("""table inet rw_lab {
          chain postrouting {
            type nat hook postrouting priority srcnat
            oifname "wan" masquerade
          }
        }
        """)

    def kernel_forwards(self):
        """Whether the gateway's kernel would forward a packet of either family."""
        settings = self.gateway.run("sysctl", "-n", "net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding")
        return "1" in settings.out.split()

    def stop_masquerading(self):
        self.gateway.run("nft", "delete", "table", "inet", "rw_lab")
        self.gateway.sysctl(net__ipv4__ip_forward=0, net__ipv6__conf__all__forwarding=0)


class OneArmed(Topology):
    """A gateway with one interface: tunnel and Internet both lie behind the router."""

    wan4, wan6 = Topology.gateway4, Topology.gateway6
    gateway_interfaces = ("wan",)

    def _connect_internet(self):
        self.lab.link(self.router, "to-internet", self.internet, "uplink")
        self.router.ip("addr add 198.51.100.1/25 dev to-internet", "addr add 2001:db8:3::1/64 dev to-internet nodad")
        self.internet.ip(f"addr add {self.internet4}/25 dev uplink",
                         f"addr add {self.internet6}/64 dev uplink nodad",
                         "route add 203.0.113.0/24 via 198.51.100.1",
                         "route add 2001:db8:2::/64 via 2001:db8:3::1")
        self.gateway.ip(f"route add default via {self.router4}", f"route add default via {self.router6}")

    def _route_to_far(self):
        self.router.ip(f"route add 192.0.2.240/28 via {self.internet4}",
                       f"route add 2001:db8:4::/64 via {self.internet6}")
        self.gateway.ip(f"route add 192.0.2.240/28 via {self.router4}")  # the network that edges are in

    def hops_to_internet(self, family):
        return [self.router4 if family == 4 else self.router6]


class WithoutNativeXdp(Topology):
    """Interfaces with fewer receive queues than their peers have for sending: veth refuses native XDP there."""

    xdp_mode = "generic"

    def _link(self, one, one_interface, other, other_interface):
        self.lab.link(one, one_interface, other, other_interface, one_options=("numtxqueues", 2))
        # As behind a wire: what a network card receives is no longer than its MTU.
        one.run("ethtool", "-K", one_interface, "tso", "off", "gso", "off", "tx-udp-segmentation", "off")


class OneArmedWithoutNativeXdp(WithoutNativeXdp, OneArmed):
    """One interface, which cannot run XDP by itself."""


class SeveralQueues(Topology):
    """Interfaces with three queues each way, among which whoever sends to them chooses by flow."""

    queues = 3

    def _link(self, one, one_interface, other, other_interface):
        options = ("numrxqueues", self.queues, "numtxqueues", self.queues)
        self.lab.link(one, one_interface, other, other_interface, options, options)


class SlowWires(Topology):
    """Interfaces that send at a rate and no faster: when it is used up the device takes no more, as a network card whose
    wire is slower than what is to be sent. What a gateway sends by AF_XDP passes no queueing discipline of the interface
    itself, so each is a macvlan, which sends by one of the link below it."""

    mbps = 100

    def _link(self, one, one_interface, other, other_interface):
        wire = f"{other_interface}-wire"
        self.lab.link(one, one_interface, other, wire)
        # As behind a wire: nothing longer than the MTU, and checksums complete.
        one.run("ethtool", "-K", one_interface, "tx", "off", "tso", "off", "gso", "off", "tx-udp-segmentation", "off")
        other.run("ethtool", "-K", wire, "gro", "off")
        # More than the socket may have under way, so that nothing is lost here.
        other.run("tc", "qdisc", "add", "dev", wire, "root", "tbf", "rate", f"{self.mbps}mbit", "burst", "16kb",
                  "limit", "4mb")
        other.ip(f"link add link {wire} name {other_interface} type macvlan mode private",
                 f"link set {other_interface} up")
