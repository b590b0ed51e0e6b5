// OpenSSL's AEADs as a bulk engine: a fixed set of contexts, re-keyed for each message whose key
// differs from the last one's, since an EVP context a session would cost kilobytes.
// Not thread-safe. Private to the bulk engines (crypto_batch, raw_aead).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <openssl/evp.h>

#include "dataplane/tunnel/messages.hpp"

namespace ringway::tunnel {

class OpensslAead {
 public:
  OpensslAead();

  // In place, without additional data; `nonce` is 12 bytes. seal() writes the tag behind the text,
  // open() reads it there. False: the library failed, or, in open(), the tag was wrong.
  [[nodiscard]] bool seal(Suite suite, const std::uint8_t* key, const std::uint8_t* nonce,
                          std::uint8_t* text, std::uint32_t text_bytes);
  [[nodiscard]] bool open(Suite suite, const std::uint8_t* key, const std::uint8_t* nonce,
                          std::uint8_t* text, std::uint32_t text_bytes);

  // Overwrites the keys in all contexts used since the last call. To be called before the memory
  // that any `key` above pointed to may go away: equal pointers are taken for equal keys.
  void forget_keys();

 private:
  struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  struct Context {
    std::unique_ptr<EVP_CIPHER_CTX, FreeContext> cipher;
    const std::uint8_t* key = nullptr;  // the one it holds, or null

    // Sets nonce and, where it is another one, key.
    [[nodiscard]] bool prepare(const std::uint8_t* wanted_key, const std::uint8_t* nonce);
  };
  std::array<Context, kSuiteCount> sealers_;
  std::array<Context, kSuiteCount> openers_;
};

}  // namespace ringway::tunnel
