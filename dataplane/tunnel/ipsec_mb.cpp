#include "dataplane/tunnel/ipsec_mb.hpp"

#include "base/check.hpp"

namespace ringway::tunnel {

std::unique_ptr<IpsecMb> IpsecMb::create() {
  IMB_MGR* manager = alloc_mb_mgr(0);
  if (manager == nullptr) return nullptr;  // also the answer to a CPU it does not know
  std::unique_ptr<IpsecMb> library(new IpsecMb(manager));
  init_mb_mgr_auto(manager, &library->architecture_);
  const bool self_test_failed = (manager->features & IMB_FEATURE_SELF_TEST) != 0 &&
                                (manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0;
  const bool has_functions = manager->gcm256_pre != nullptr && manager->gcm256_enc != nullptr &&
                             manager->gcm256_dec != nullptr && manager->get_next_burst != nullptr &&
                             manager->submit_burst_nocheck != nullptr;
  if (imb_get_errno(manager) != 0 || self_test_failed || !has_functions) return nullptr;
  return library;
}

std::string_view IpsecMb::architecture() const {
  switch (architecture_) {
    case IMB_ARCH_NOAESNI:
      return "no AES-NI";
    case IMB_ARCH_SSE:
      return "SSE";
    case IMB_ARCH_AVX:
      return "AVX";
    case IMB_ARCH_AVX2:
      return "AVX2";
    case IMB_ARCH_AVX512:
      return "AVX512";
    default:
      return "unknown";
  }
}

ChaChaBurst::ChaChaBurst(IMB_MGR& manager, Direction direction, std::size_t count)
    : manager_(manager), direction_(direction), reserved_(static_cast<std::uint32_t>(count)) {
  DCHECK(count <= kMaxBurst);
  if (IMB_GET_NEXT_BURST(&manager_, reserved_, jobs_.data()) != reserved_) reserved_ = 0;
}

void ChaChaBurst::add(const std::uint8_t* key, const NonceSlot& nonce, std::uint8_t* text,
                      std::uint32_t text_bytes, std::uint8_t* tag) {
  if (added_ == reserved_) return;  // submit() reports it
  IMB_JOB& job = *jobs_[added_++];
  const bool seal = direction_ == Direction::kSeal;
  job.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
  job.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
  job.cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
  job.chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
  job.enc_keys = key;
  job.dec_keys = key;
  job.key_len_in_bytes = 32;
  job.iv = nonce.bytes.data();
  job.iv_len_in_bytes = kNonceBytes;
  job.u.CHACHA20_POLY1305.aad = nullptr;
  job.u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
  job.src = text;
  job.dst = text;
  job.cipher_start_src_offset_in_bytes = 0;
  job.hash_start_src_offset_in_bytes = 0;
  job.msg_len_to_cipher_in_bytes = text_bytes;
  job.msg_len_to_hash_in_bytes = text_bytes;
  job.auth_tag_output = tag;
  job.auth_tag_output_len_in_bytes = 16;
}

// NOCHECK: the checked calls write a process-wide error variable, and every field is set above.
bool ChaChaBurst::submit() {
  if (reserved_ == 0 || added_ != reserved_) return false;
  const std::uint32_t completed = IMB_SUBMIT_BURST_NOCHECK(&manager_, reserved_, jobs_.data());
  bool all_completed = completed == reserved_;
  for (std::uint32_t i = 0; i < completed; ++i) {
    all_completed = all_completed && jobs_[i]->status == IMB_STATUS_COMPLETED;
  }
  return all_completed;
}

}  // namespace ringway::tunnel
