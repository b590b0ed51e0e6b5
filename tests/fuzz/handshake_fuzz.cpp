// Handshake messages as the network may send them, to everything that reads them before and after
// mac1: parse_message_header, CookieChecker, Handshaker and CookieJar. The node under test has a
// stock and a Ringway peer and an initiation out to each.
// Input: any number of records: one byte that says what is done to the message, two bytes of
// length, little-endian, the message. Random bytes never authenticate, so some records are changed
// copies of genuine messages instead.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/rng.hpp"
#include "dataplane/tunnel/cookie.hpp"
#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/primitives.hpp"

namespace {

using namespace ringway;
using namespace ringway::tunnel;

constexpr std::size_t kMaxMessageBytes = 2048;
const WallTime kWall = WallTime::from_unix_ns(1'700'000'000'000'000'000);

DatagramSource source_of(std::uint8_t last_byte) {
  const std::uint8_t address[4] = {192, 0, 2, last_byte};
  DatagramSource source;
  source.remote = {net::IpAddress::v4(address), 51820};
  return source;
}

struct Node {
  Node(std::uint64_t seed, std::uint8_t address) : rng(seed), indices(8, rng) {
    rng.fill(key.span());
    handshaker = std::make_unique<Handshaker>(key, Tai64n{}, indices, rng);
    source = source_of(address);
  }
  void add(PeerId id, const Node& other, Suite suite) {
    PeerSettings settings;
    settings.public_key = other.handshaker->public_key();
    settings.suite = suite;
    settings.ringway = suite == Suite::kAes256Gcm;
    CHECK(handshaker->add_peer(id, settings, {}));
  }
  // Sessions end at once; what was sent is kept for a while.
  void drain() {
    HandshakeOutput output;
    while (handshaker->poll_output(output)) {
      if (auto* to_peer = std::get_if<handshake_output::SendToPeer>(&output)) {
        sent.push_back(to_peer->message);
      } else if (auto* to = std::get_if<handshake_output::SendTo>(&output)) {
        sent.push_back(to->message);
      } else if (auto* install = std::get_if<handshake_output::InstallSession>(&output)) {
        indices.release(install->keys.local_index);
      }
    }
    while (sent.size() > 8)
      sent.pop_front();
  }

  SeededRng rng;
  ReceiverIndexAllocator indices;
  PrivateKey key;
  std::unique_ptr<Handshaker> handshaker;
  DatagramSource source;
  std::deque<HandshakeBytes> sent;
};

class Scene {
 public:
  Scene() {
    target_.add({0}, stock_, Suite::kChaCha20Poly1305);
    target_.add({1}, ringway_, Suite::kAes256Gcm);
    stock_.add({0}, target_, Suite::kChaCha20Poly1305);
    ringway_.add({0}, target_, Suite::kAes256Gcm);
    request_all();
  }
  ~Scene() {
    target_.handshaker->remove_peer({0});
    target_.handshaker->remove_peer({1});
    target_.drain();
    CHECK(target_.indices.used() == 0);
  }

  void play(std::uint8_t action, Bytes message) {
    Node& peer = (action & 1) == 0 ? stock_ : ringway_;
    switch ((action >> 1) % 5) {
      case 0:
        deliver(message, peer);
        break;
      case 1:  // mac1 made right, as anyone can who knows our public key
        restamp(message);
        deliver(message, peer);
        break;
      case 2:
        deliver_changed(peer, message);
        break;
      case 3:  // a cookie reply to the target's last message, changed
        answer_with_cookie(peer, message);
        break;
      default:
        now_ = now_ + Duration::milliseconds(message.empty() ? 20 : message[0] * 50);
        request_all();
    }
    CHECK(target_.indices.used() <= 2);
  }

 private:
  void request_all() {
    for (Node* node : {&target_, &stock_, &ringway_}) {
      node->handshaker->tick(now_, kWall);
      node->handshaker->request_session({0}, now_, kWall, true);
      if (node == &target_) node->handshaker->request_session({1}, now_, kWall, true);
      node->drain();
    }
  }
  static bool has_macs(ConstBytes message) {
    return message.size() == InitiationLayout::kSize || message.size() == ResponseLayout::kSize;
  }
  void restamp(Bytes message) {
    if (has_macs(message)) CookieJar(target_.handshaker->public_key()).stamp(now_, message);
  }

  // What a worker does with a handshake message, then what control does.
  void deliver(ConstBytes message, const Node& from) {
    MessageHeader header;
    const bool parsed = parse_message_header(message, header);
    if (parsed && has_macs(message)) {
      const bool mac1 = checker_.mac1_valid(message);
      const bool mac2 = checker_.mac2_valid(now_, message, from.source.remote);
      if (mac1 && !mac2) {
        std::array<std::uint8_t, CookieReplyLayout::kSize> reply;
        checker_.make_reply(now_, message, from.source.remote, reply);
      }
    }
    const HandshakeVerdict verdict = target_.handshaker->input(now_, kWall, message, from.source);
    CHECK(parsed || verdict == HandshakeVerdict::kMalformed);
    target_.drain();
    // Also the other way: what the target answers must be readable.
    CHECK(!jar_.consume_reply(now_, message));
  }
  // A genuine message with the input laid over it as differences.
  void deliver_changed(Node& from, ConstBytes changes) {
    if (from.sent.empty()) return;
    HandshakeBytes message = from.sent.back();
    for (std::size_t i = 0; i + 1 < changes.size(); i += 2) {
      std::uint8_t& byte = message.data[changes[i] % message.length];
      byte = static_cast<std::uint8_t>(byte ^ changes[i + 1]);
    }
    deliver(message.view(), from);
  }
  void answer_with_cookie(const Node& from, ConstBytes changes) {
    if (target_.sent.empty()) return;
    std::array<std::uint8_t, CookieReplyLayout::kSize> reply;
    CookieChecker checker(from.handshaker->public_key(), rng_);
    checker.make_reply(now_, target_.sent.back().view(), target_.source.remote, reply);
    for (std::size_t i = 0; i + 1 < changes.size(); i += 2)
      reply[changes[i] % 64] ^= changes[i + 1];
    deliver(reply, from);
  }

  Node target_{1, 1};
  Node stock_{2, 2};
  Node ringway_{3, 3};
  SeededRng rng_{4};
  CookieChecker checker_{target_.handshaker->public_key(), rng_};
  CookieJar jar_{target_.handshaker->public_key()};
  Instant now_ = Instant::from_ns(1'000'000'000'000);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kRecordHeaderBytes = 3;
  Scene scene;
  ConstBytes input(data, size);
  while (input.size() >= kRecordHeaderBytes) {
    const std::uint8_t action = input[0];
    const std::size_t length =
        std::min<std::size_t>({load_le<std::uint16_t>(input.data() + 1), kMaxMessageBytes,
                               input.size() - kRecordHeaderBytes});
    // A copy of its own, so that reading past the end is seen.
    std::vector<std::uint8_t> message(
        input.begin() + kRecordHeaderBytes,
        input.begin() + kRecordHeaderBytes + static_cast<std::ptrdiff_t>(length));
    scene.play(action, message);
    input = input.subspan(kRecordHeaderBytes + length);
  }
  return 0;
}
