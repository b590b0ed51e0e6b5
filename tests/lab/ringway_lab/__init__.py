"""A laboratory of network namespaces for Ringway: an edge, an access network, a gateway, an Internet.

lab.py       namespaces, links and processes, and that nothing of them stays behind
topology.py  the machines and addresses of the laboratory
services.py  what runs on its Internet: a web server, a name server, iperf3
nodes.py     the tunnels under test: ringwayd, wireguard-go
variants.py  the ways in which an edge can reach the Internet, ready to be compared
measure.py   ping, page, TCP, UDP, round-trip time
leaks.py     what a capture shows outside the tunnel
wire.py      WireGuard messages made by hand, for floods and forgeries
demo.py      scripts/demo
"""
