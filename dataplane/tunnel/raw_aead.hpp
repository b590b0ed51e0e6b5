// The bulk engines in their barest loops: one key, nonces laid out beforehand, nothing chosen,
// mixed or compared. What this machine can do at best, and so the yardstick for CryptoBatch; for
// benchmarks only. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::tunnel {

class RawAead {
 public:
  enum class Engine { kIpsecMb, kOpenssl };
  static constexpr std::size_t kMaxMessages = 64;

  // False for ipsec-mb where the CPU cannot run it.
  [[nodiscard]] static bool available(Engine engine);

  // The engine must be available.
  RawAead(Engine engine, Suite suite, const SecretBytes<kKeyBytes>& key);
  ~RawAead();
  RawAead(const RawAead&) = delete;
  RawAead& operator=(const RawAead&) = delete;

  // At most kMaxMessages messages in place, each of text_bytes with room for a tag behind; message
  // i has counter i. open() of ipsec-mb computes the tags and leaves the comparison to the caller,
  // who is not there.
  void seal(std::span<std::uint8_t* const> texts, std::uint32_t text_bytes);
  void open(std::span<std::uint8_t* const> texts, std::uint32_t text_bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ringway::tunnel
