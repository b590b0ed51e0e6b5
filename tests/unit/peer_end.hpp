// A peer's end of one session with the worker under test: it seals what the worker is to open, and
// opens what the worker has sealed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "base/net/inner_packet.hpp"
#include "base/rng.hpp"
#include "dataplane/tunnel/crypto_batch.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/session.hpp"

namespace ringway::testing_support {

class PeerEnd {
 public:
  using Bytes = std::vector<std::uint8_t>;

  // worker_index: of the worker's end.
  PeerEnd(PeerId peer, ReceiverIndex worker_index, Instant created, Rng& rng) {
    keys_.peer = peer;
    keys_.suite = tunnel::Suite::kAes256Gcm;
    keys_.initiator = true;
    keys_.local_index = worker_index;
    keys_.remote_index = {1000 + peer.value};
    rng.fill(keys_.send_key.span());
    keys_.receive_key = keys_.send_key;
    keys_.created = created;
    bulk_ = std::make_unique<tunnel::BulkKey>(keys_.suite, keys_.send_key);
  }

  // The worker's end.
  [[nodiscard]] std::unique_ptr<tunnel::Session> worker_session() const {
    return std::make_unique<tunnel::Session>(keys_);
  }

  [[nodiscard]] Bytes sealed(ConstBytes packet) {
    using Layout = tunnel::DataLayout;
    Bytes message(Layout::kCiphertext + packet.size() + tunnel::kTagBytes);
    tunnel::emit_message_header(message.data(), tunnel::MessageType::kData, keys_.suite);
    store_le(message.data() + Layout::kReceiver, keys_.local_index.value);
    store_le(message.data() + Layout::kCounter, counter_);
    std::ranges::copy(packet, message.begin() + Layout::kCiphertext);
    tunnel::AeadJob job{bulk_.get(),
                        message.data() + Layout::kCiphertext,
                        static_cast<std::uint32_t>(packet.size()),
                        false,
                        keys_.suite,
                        counter_++};
    crypto_.seal({&job, 1});
    return message;
  }
  // The packet without its padding; empty for a keepalive.
  [[nodiscard]] std::optional<Bytes> opened(Bytes message) {
    using Layout = tunnel::DataLayout;
    const auto text_bytes = static_cast<std::uint32_t>(message.size() - Layout::kOverhead);
    tunnel::AeadJob job{bulk_.get(),    message.data() + Layout::kCiphertext,
                        text_bytes,     false,
                        bulk_->suite(), load_le<std::uint64_t>(message.data() + Layout::kCounter)};
    crypto_.open({&job, 1});
    EXPECT_TRUE(job.ok);
    if (text_bytes == 0) return std::nullopt;
    net::InnerPacket inner;
    EXPECT_TRUE(net::parse_inner_packet({job.text, text_bytes}, inner));
    return Bytes(job.text, job.text + inner.total_bytes);
  }

 private:
  tunnel::SessionKeys keys_;
  std::unique_ptr<tunnel::BulkKey> bulk_;
  std::uint64_t counter_ = 0;
  tunnel::CryptoBatch crypto_{tunnel::CryptoBatch::Selection::kOpenSslOnly};
};

}  // namespace ringway::testing_support
