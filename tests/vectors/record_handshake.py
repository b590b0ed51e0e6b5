#!/usr/bin/env python3
"""Makes handshake_vectors.hpp: handshakes that Ringway's code had no part in.

The protocol is written here a second time, in Python on hashlib and python3-cryptography. This
implementation talks to Debian's wireguard-go in a network namespace, once as responder and once as
initiator, and records the datagrams: what wireguard-go accepted and answered is thereby known to be
right. wireguard-go cannot do the suite of AES-256-GCM; that handshake is computed between two sides
of the Python implementation from fixed keys.

    sudo tests/vectors/record_handshake.py > tests/vectors/handshake_vectors.hpp

needs wireguard-go, wireguard-tools, iproute2 and python3-cryptography.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct
import subprocess
import sys
import time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

NAMESPACE = "rw-handshake-vec"
DEVICE = "rwvec0"
PEER_ADDRESS = "192.0.2.1"  # wireguard-go
OUR_ADDRESS = "192.0.2.2"
PEER_PORT = 51820
OUR_PORT = 51821
INNER_PEER = "198.51.100.1"
INNER_OURS = "198.51.100.2"


# --- the protocol, second implementation -----------------------------------------------------

SUITES = {
    0: (b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", b"WireGuard v1 zx2c4 Jason@zx2c4.com",
        ChaCha20Poly1305),
    1: (b"Noise_IKpsk2_25519_AESGCM_BLAKE2s", b"Ringway v1 aes256gcm", AESGCM),
}


def blake2s(data):
    return hashlib.blake2s(data).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(key, data, count):
    secret = hmac.new(key, data, hashlib.blake2s).digest()
    outputs, previous = [], b""
    for number in range(1, count + 1):
        previous = hmac.new(secret, previous + bytes([number]), hashlib.blake2s).digest()
        outputs.append(previous)
    return outputs


def public_of(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(public))


class Side:
    """One side of one handshake: what both sides have mixed so far."""

    def __init__(self, suite, responder_static):
        name, prologue, self.aead = SUITES[suite]
        self.suite = suite
        self.chain = blake2s(name)
        self.hash = blake2s(blake2s(self.chain + prologue) + responder_static)

    def mix_hash(self, data):
        self.hash = blake2s(self.hash + data)

    def mix_ephemeral(self, public):
        self.mix_hash(public)
        (self.chain,) = kdf(self.chain, public, 1)

    def mix_secret(self, secret):
        self.chain, key = kdf(self.chain, secret, 2)
        return key

    def mix_psk(self, psk):
        self.chain, middle, key = kdf(self.chain, psk, 3)
        self.mix_hash(middle)
        return key

    def seal(self, key, text):
        sealed = self.aead(key).encrypt(bytes(12), text, self.hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, key, sealed):
        text = self.aead(key).decrypt(bytes(12), sealed, self.hash)
        self.mix_hash(sealed)
        return text


def with_macs(message, receiver_static):
    mac1 = mac(blake2s(b"mac1----" + receiver_static), message)
    return message + mac1 + bytes(16)


def make_initiation(suite, static, ephemeral, remote_static, index, timestamp):
    side = Side(suite, remote_static)
    side.mix_ephemeral(public_of(ephemeral))
    sealed_static = side.seal(side.mix_secret(agree(ephemeral, remote_static)), public_of(static))
    sealed_time = side.seal(side.mix_secret(agree(static, remote_static)), timestamp)
    message = struct.pack("<BBxxI", 1, suite, index) + public_of(ephemeral)
    return side, with_macs(message + sealed_static + sealed_time, remote_static)


def read_initiation(suite, message, static):
    assert len(message) == 148 and message[0] == 1
    side = Side(suite, public_of(static))
    remote_ephemeral = message[8:40]
    side.mix_ephemeral(remote_ephemeral)
    remote_static = side.open(side.mix_secret(agree(static, remote_ephemeral)), message[40:88])
    timestamp = side.open(side.mix_secret(agree(static, remote_static)), message[88:116])
    return side, remote_ephemeral, remote_static, timestamp


def make_response(side, ephemeral, remote_ephemeral, remote_static, psk, index, remote_index):
    side.mix_ephemeral(public_of(ephemeral))
    side.mix_secret(agree(ephemeral, remote_ephemeral))
    side.mix_secret(agree(ephemeral, remote_static))
    empty = side.seal(side.mix_psk(psk), b"")
    message = struct.pack("<BBxxII", 2, side.suite, index, remote_index) + public_of(ephemeral)
    return kdf(side.chain, b"", 2), with_macs(message + empty, remote_static)


def read_response(side, message, static, ephemeral, psk):
    assert len(message) == 92 and message[0] == 2
    remote_ephemeral = message[12:44]
    side.mix_ephemeral(remote_ephemeral)
    side.mix_secret(agree(ephemeral, remote_ephemeral))
    side.mix_secret(agree(static, remote_ephemeral))
    side.open(side.mix_psk(psk), message[44:60])
    return kdf(side.chain, b"", 2)


def tai64n():
    now = time.time_ns()
    return struct.pack(">QI", (1 << 62) + 10 + now // 10**9, now % 10**9 & ~0xFFFFFF)


# --- wireguard-go in a namespace -------------------------------------------------------------


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def in_namespace(*command, **options):
    return run("ip", "netns", "exec", NAMESPACE, *command, **options)


class Peer:
    """wireguard-go in its namespace, with one peer: us."""

    def __init__(self, private, our_public, psk, connect):
        self.process = None
        try:
            self.start(private, our_public, psk, connect)
        except BaseException:
            self.stop()
            raise

    def start(self, private, our_public, psk, connect):
        run("ip", "netns", "add", NAMESPACE)
        run("ip", "-n", NAMESPACE, "link", "set", "lo", "up")
        for address in (PEER_ADDRESS, OUR_ADDRESS):
            run("ip", "-n", NAMESPACE, "address", "add", address + "/32", "dev", "lo")
        self.socket = socket_in_namespace()
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", NAMESPACE, "wireguard-go", "--foreground", DEVICE],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(f"/var/run/wireguard/{DEVICE}.sock"):
            time.sleep(0.05)
            assert self.process.poll() is None, "wireguard-go did not start"
        run("ip", "-n", NAMESPACE, "address", "add", INNER_PEER + "/32", "dev", DEVICE)
        run("ip", "-n", NAMESPACE, "link", "set", DEVICE, "up")
        run("ip", "-n", NAMESPACE, "route", "add", INNER_OURS + "/32", "dev", DEVICE)
        settings = [DEVICE, "listen-port", str(PEER_PORT), "private-key", self.file_of(private),
                    "peer", base64.b64encode(our_public).decode(),
                    "preshared-key", self.file_of(psk), "allowed-ips", INNER_OURS + "/32"]
        if connect:
            settings += ["endpoint", f"{OUR_ADDRESS}:{OUR_PORT}", "persistent-keepalive", "1"]
        in_namespace("wg", "set", *settings)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        run("ip", "netns", "delete", NAMESPACE)
        for name in os.listdir("/run"):
            if name.startswith(DEVICE + "."):
                os.unlink("/run/" + name)

    @staticmethod
    def file_of(key):
        path = f"/run/{DEVICE}.{key[0]:02x}"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(base64.b64encode(key))
        return path

    def receive(self, kind):
        deadline = time.time() + 10
        while time.time() < deadline:
            message = self.socket.recv(2048)
            if message[0] == kind:
                return message
        raise TimeoutError(kind)

    def send(self, message):
        self.socket.sendto(message, (PEER_ADDRESS, PEER_PORT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def socket_in_namespace():
    """A UDP socket made inside the namespace; it stays there when we return."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{NAMESPACE}", os.O_RDONLY)
    set_namespace(there)
    try:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((OUR_ADDRESS, OUR_PORT))
        made.settimeout(10)
        return made
    finally:
        set_namespace(home)
        os.close(home)
        os.close(there)


def set_namespace(descriptor):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


def ipv4_echo_request():
    def checksum(data):
        total = sum(struct.unpack(f">{len(data) // 2}H", data))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return ~total & 0xFFFF

    icmp = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + bytes(24)
    icmp = icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0,
                         socket.inet_aton(INNER_OURS), socket.inet_aton(INNER_PEER))
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return header + icmp + bytes(-(len(header) + len(icmp)) % 16)


# --- the recordings --------------------------------------------------------------------------

INITIATOR = hashlib.sha256(b"initiator static").digest()
RESPONDER = hashlib.sha256(b"responder static").digest()
INITIATOR_EPHEMERAL = hashlib.sha256(b"initiator ephemeral").digest()
RESPONDER_EPHEMERAL = hashlib.sha256(b"responder ephemeral").digest()
PSK = hashlib.sha256(b"preshared").digest()
INITIATOR_INDEX = 0x11223344
RESPONDER_INDEX = 0x55667788


def emit(name, fields):
    print(f"inline constexpr {name[0]} {name[1]}{{")
    for field, value in fields:
        value = f"0x{value:08x}" if isinstance(value, int) else f'"{value.hex()}"'
        if len(value) <= 84:
            print(f"    .{field} = {value},")
            continue
        body = value.strip('"')
        print(f"    .{field} =")
        lines = [body[at:at + 88] for at in range(0, len(body), 88)]
        print("\n".join(f'        "{line}"' for line in lines) + ",")
    print("};\n")


def record_as_responder():
    """wireguard-go initiates, we answer, and it confirms with a keepalive."""
    with Peer(INITIATOR, public_of(RESPONDER), PSK, connect=True) as peer:
        initiation = peer.receive(1)
        side, remote_ephemeral, remote_static, timestamp = read_initiation(0, initiation, RESPONDER)
        assert remote_static == public_of(INITIATOR)
        (remote_index,) = struct.unpack("<I", initiation[4:8])
        (to_responder, to_initiator), response = make_response(
            side, RESPONDER_EPHEMERAL, remote_ephemeral, remote_static, PSK, RESPONDER_INDEX,
            remote_index)
        peer.send(response)
        data = peer.receive(4)
        ChaCha20Poly1305(to_responder).decrypt(bytes(4) + data[8:16], data[16:], b"")
    emit(("RecordedInitiation", "kWireguardGoInitiates"), [
        ("initiator_private", INITIATOR), ("responder_private", RESPONDER), ("psk", PSK),
        ("responder_ephemeral_private", RESPONDER_EPHEMERAL),
        ("responder_index", RESPONDER_INDEX), ("timestamp", timestamp),
        ("initiation", initiation), ("response", response), ("first_data", data)])


def record_as_initiator():
    """We initiate, wireguard-go answers, then answers a ping, then demands cookies."""
    with Peer(RESPONDER, public_of(INITIATOR), PSK, connect=False) as peer:
        timestamp = tai64n()
        side, initiation = make_initiation(0, INITIATOR, INITIATOR_EPHEMERAL, public_of(RESPONDER),
                                           INITIATOR_INDEX, timestamp)
        peer.send(initiation)
        response = peer.receive(2)
        to_responder, to_initiator = read_response(side, response, INITIATOR, INITIATOR_EPHEMERAL,
                                                   PSK)
        (remote_index,) = struct.unpack("<I", response[4:8])
        ping = ChaCha20Poly1305(to_responder).encrypt(bytes(12), ipv4_echo_request(), b"")
        peer.send(struct.pack("<IIQ", 4, remote_index, 0) + ping)
        data = peer.receive(4)
        ChaCha20Poly1305(to_initiator).decrypt(bytes(4) + data[8:16], data[16:], b"")
        for _ in range(5000):
            peer.send(initiation)
        cookie_reply = peer.receive(3)
    emit(("RecordedResponse", "kWireguardGoResponds"), [
        ("initiator_private", INITIATOR), ("responder_private", RESPONDER), ("psk", PSK),
        ("initiator_ephemeral_private", INITIATOR_EPHEMERAL),
        ("initiator_index", INITIATOR_INDEX), ("timestamp", timestamp),
        ("initiation", initiation), ("response", response), ("first_data", data),
        ("cookie_reply", cookie_reply)])


def compute_aes():
    """Both sides in Python."""
    timestamp = bytes.fromhex("400000006553f10a1d000000")
    initiator, initiation = make_initiation(1, INITIATOR, INITIATOR_EPHEMERAL,
                                            public_of(RESPONDER), INITIATOR_INDEX, timestamp)
    responder, remote_ephemeral, remote_static, _ = read_initiation(1, initiation, RESPONDER)
    keys, response = make_response(responder, RESPONDER_EPHEMERAL, remote_ephemeral, remote_static,
                                   PSK, RESPONDER_INDEX, INITIATOR_INDEX)
    assert keys == read_response(initiator, response, INITIATOR, INITIATOR_EPHEMERAL, PSK)
    assert initiator.hash == responder.hash
    emit(("ComputedHandshake", "kAesHandshake"), [
        ("initiator_private", INITIATOR), ("responder_private", RESPONDER), ("psk", PSK),
        ("initiator_ephemeral_private", INITIATOR_EPHEMERAL),
        ("responder_ephemeral_private", RESPONDER_EPHEMERAL),
        ("initiator_index", INITIATOR_INDEX), ("responder_index", RESPONDER_INDEX),
        ("timestamp", timestamp), ("initiation", initiation), ("response", response),
        ("initiator_sends_with", keys[0]), ("responder_sends_with", keys[1]),
        ("handshake_hash", initiator.hash)])


HEAD = """\
// Made by record_handshake.py, which says how: handshakes that Ringway's code had no part in.
// wireguard-go {version} made what it sends, and accepted what it received. All in hexadecimal;
// private keys of these tests only.
#pragma once

#include <cstdint>

namespace ringway::test_vectors {{

// wireguard-go is the initiator; the response was answered with `first_data`, a keepalive.
struct RecordedInitiation {{
  const char* initiator_private;
  const char* responder_private;
  const char* psk;
  const char* responder_ephemeral_private;
  std::uint32_t responder_index;
  const char* timestamp;
  const char* initiation;
  const char* response;
  const char* first_data;
}};

// wireguard-go is the responder; `first_data` holds its echo reply. `cookie_reply` answers the
// initiation sent again, under load.
struct RecordedResponse {{
  const char* initiator_private;
  const char* responder_private;
  const char* psk;
  const char* initiator_ephemeral_private;
  std::uint32_t initiator_index;
  const char* timestamp;
  const char* initiation;
  const char* response;
  const char* first_data;
  const char* cookie_reply;
}};

// Computed from fixed keys by the implementation in record_handshake.py.
struct ComputedHandshake {{
  const char* initiator_private;
  const char* responder_private;
  const char* psk;
  const char* initiator_ephemeral_private;
  const char* responder_ephemeral_private;
  std::uint32_t initiator_index;
  std::uint32_t responder_index;
  const char* timestamp;
  const char* initiation;
  const char* response;
  const char* initiator_sends_with;
  const char* responder_sends_with;
  const char* handshake_hash;
}};
"""


def main():
    version = run("wireguard-go", "--version", capture_output=True, text=True).stdout.split()[1]
    print(HEAD.format(version=version))
    record_as_responder()
    record_as_initiator()
    compute_aes()
    print("}  // namespace ringway::test_vectors")


if __name__ == "__main__":
    sys.exit(main())
