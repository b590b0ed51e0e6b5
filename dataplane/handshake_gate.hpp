// What handshake messages must pass before the control plane hears of them: exact length, mac1, and
// under load a cookie (mac2) and a rate limit by source. No public-key operation happens before.
// Source: WireGuard whitepaper, section 5.3; SECURITY: sessions and handshakes, 1.
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Looks at the message itself no further than it must; those whose mac1 is to be hashed wait for
// more of them. What `message` refers to stays until admit_offered().
void offer_handshake(WorkerState& worker, ConstBytes message, tunnel::MessageHeader header,
                     const tunnel::DatagramSource& from, Instant now);

// Decides on those that wait. Before the buffers of a burst are released.
void admit_offered(WorkerState& worker, Instant now);

// Sends the cookie replies that were made since the last call, in one burst: under a flood they are
// as many as the initiations.
void flush_cookie_replies(WorkerState& worker);

}  // namespace ringway
