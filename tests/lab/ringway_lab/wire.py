"""WireGuard messages and Ethernet frames made by hand, for floods and forgeries.

Layouts and keys as in the WireGuard whitepaper, sections 5.4.2 and 5.4.4.
"""

import base64
import hashlib
import ipaddress
import json
import os
import random
import struct

INITIATION_BYTES = 148
MAC1_OFFSET = 116
MAC_BYTES = 16
LABEL_MAC1 = b"mac1----"
COOKIE_REPLY_BYTES = 64
KEEPALIVE_BYTES = 32
UDP_HEADER_BYTES = 8


def mac1_key(public_key):
    """BLAKE2s of the label and the responder's public key (base64)."""
    return hashlib.blake2s(LABEL_MAC1 + base64.b64decode(public_key)).digest()


def initiation(responder_public_key=None, suite=0):
    """A handshake initiation of random bytes: with a valid mac1 if the responder's key is given."""
    body = struct.pack("<BBH", 1, suite, 0) + os.urandom(MAC1_OFFSET - 4)
    if responder_public_key is None:
        return body + os.urandom(MAC_BYTES) + bytes(MAC_BYTES)
    mac1 = hashlib.blake2s(body, digest_size=MAC_BYTES, key=mac1_key(responder_public_key)).digest()
    return body + mac1 + bytes(MAC_BYTES)


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(macs, source, target, source_port, target_port, payload):
    """An Ethernet frame with a UDP datagram over IPv4 or IPv6; `macs`: (source, target) as bytes."""
    source, target = ipaddress.ip_address(source), ipaddress.ip_address(target)
    length = UDP_HEADER_BYTES + len(payload)
    header = struct.pack("!HHHH", source_port, target_port, length, 0)
    pseudo = source.packed + target.packed + struct.pack("!IHBB", length, 0, 0, 17)
    udp = struct.pack("!HHHH", source_port, target_port, length,
                      checksum(pseudo + header + payload) or 0xFFFF) + payload
    if source.version == 4:
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0,
                         source.packed, target.packed)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        ethertype = 0x0800
    else:
        ip = struct.pack("!IHBB16s16s", 6 << 28, length, 17, 64, source.packed, target.packed)
        ethertype = 0x86DD
    return macs[1] + macs[0] + struct.pack("!H", ethertype) + ip + udp


def in_fragments(frame, identification, piece_bytes):
    """The fragments of what udp_frame() made, in order (RFC 791, RFC 8200 section 4.5). `piece_bytes`: a multiple
    of eight."""
    ethernet, packet = frame[:14], frame[14:]
    header, payload = (packet[:20], packet[20:]) if packet[0] >> 4 == 4 else (packet[:40], packet[40:])
    frames = []
    for at in range(0, len(payload), piece_bytes):
        piece = payload[at:at + piece_bytes]
        more = at + len(piece) < len(payload)
        if packet[0] >> 4 == 4:
            ip = header[:2] + struct.pack("!HHH", len(header) + len(piece), identification, more << 13 | at // 8) + \
                header[8:10] + bytes(2) + header[12:]
            ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        else:
            ip = header[:4] + struct.pack("!HB", 8 + len(piece), 44) + header[7:] + \
                struct.pack("!BBHI", header[6], 0, at | more, identification)
        frames.append(ethernet + ip + piece)
    return frames


def mac_address(namespace, interface):
    links = json.loads(namespace.run("ip", "-j", "link", "show", "dev", interface).out)
    return bytes.fromhex(links[0]["address"].replace(":", ""))


def write_frames(path, frames):
    """The file that lab-flood reads: each frame behind its length (16 bits, little-endian)."""
    with open(path, "wb") as file:
        for frame in frames:
            file.write(struct.pack("<H", len(frame)) + frame)


def spoofed_sources(network, seed=1):
    """Endless (address, port) pairs out of a network."""
    network = ipaddress.ip_network(network)
    generator = random.Random(seed)
    while True:
        yield network[generator.randrange(2, network.num_addresses - 1)], generator.randrange(1024, 65536)
