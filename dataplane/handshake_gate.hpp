// What handshake messages must pass before the control plane hears of them: exact length, mac1, and
// under load a cookie (mac2) and a rate limit by source. No public-key operation happens before.
// Source: WireGuard whitepaper, section 5.3; SECURITY: sessions and handshakes, 1.
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

void admit_handshake(WorkerState& worker, ConstBytes message, tunnel::MessageHeader header,
                     const tunnel::DatagramSource& from, Instant now);

// Sends the cookie replies that were made since the last call, in one burst: under a flood they are
// as many as the initiations.
void flush_cookie_replies(WorkerState& worker);

}  // namespace ringway
