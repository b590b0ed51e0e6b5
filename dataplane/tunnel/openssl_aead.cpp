#include "dataplane/tunnel/openssl_aead.hpp"

#include "base/check.hpp"

namespace ringway::tunnel {
namespace {

constexpr std::array<std::uint8_t, kKeyBytes> kNoKey{};
constexpr std::array<std::uint8_t, 12> kNoNonce{};
constexpr int kTagSize = static_cast<int>(kTagBytes);

const EVP_CIPHER* cipher_of(Suite suite) {
  return suite == Suite::kAes256Gcm ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
}

}  // namespace

OpensslAead::OpensslAead() {
  for (std::size_t i = 0; i < kSuiteCount; ++i) {
    for (const bool seal : {true, false}) {
      Context& context = seal ? sealers_[i] : openers_[i];
      context.cipher.reset(EVP_CIPHER_CTX_new());
      CHECK(context.cipher != nullptr);
      CHECK(EVP_CipherInit_ex(context.cipher.get(), cipher_of(static_cast<Suite>(i)), nullptr,
                              kNoKey.data(), kNoNonce.data(), seal ? 1 : 0) == 1);
    }
  }
}

bool OpensslAead::Context::prepare(const std::uint8_t* wanted_key, const std::uint8_t* nonce) {
  const std::uint8_t* new_key = wanted_key == key ? nullptr : wanted_key;
  key = wanted_key;
  return EVP_CipherInit_ex(cipher.get(), nullptr, nullptr, new_key, nonce, -1) == 1;
}

bool OpensslAead::seal(Suite suite, const std::uint8_t* key, const std::uint8_t* nonce,
                       std::uint8_t* text, std::uint32_t text_bytes) {
  Context& context = sealers_[static_cast<std::size_t>(suite)];
  EVP_CIPHER_CTX* cipher = context.cipher.get();
  const int size = static_cast<int>(text_bytes);
  std::uint8_t* tag = text + text_bytes;
  int written = 0;
  return context.prepare(key, nonce) &&
         (size == 0 || EVP_EncryptUpdate(cipher, text, &written, text, size) == 1) &&
         EVP_EncryptFinal_ex(cipher, tag, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1;
}

bool OpensslAead::open(Suite suite, const std::uint8_t* key, const std::uint8_t* nonce,
                       std::uint8_t* text, std::uint32_t text_bytes) {
  Context& context = openers_[static_cast<std::size_t>(suite)];
  EVP_CIPHER_CTX* cipher = context.cipher.get();
  const int size = static_cast<int>(text_bytes);
  std::uint8_t* tag = text + text_bytes;
  int written = 0;
  // Final compares the tags, in constant time.
  return context.prepare(key, nonce) &&
         EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag) == 1 &&
         (size == 0 || EVP_DecryptUpdate(cipher, text, &written, text, size) == 1) &&
         EVP_DecryptFinal_ex(cipher, tag, &written) == 1;
}

void OpensslAead::forget_keys() {
  for (auto* contexts : {&sealers_, &openers_}) {
    for (Context& context : *contexts) {
      if (context.key == nullptr) continue;
      CHECK(context.prepare(kNoKey.data(), kNoNonce.data()));
      context.key = nullptr;
    }
  }
}

}  // namespace ringway::tunnel
