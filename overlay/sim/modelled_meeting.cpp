#include "overlay/sim/modelled_meeting.hpp"

#include <sodium.h>

#include "base/check.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint8_t kForName = 1;
constexpr std::uint8_t kForKey = 2;
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

}  // namespace

std::array<std::uint8_t, 32> ModelledMeetingSecret::derive(std::uint8_t purpose,
                                                           std::uint64_t epoch) {
  std::array<std::uint8_t, 9> message{purpose};
  store_be(message.data() + 1, epoch);
  std::array<std::uint8_t, 32> result;
  CHECK(crypto_auth_hmacsha256(result.data(), message.data(), message.size(), secret_.data()) == 0);
  return result;
}

MeetingName ModelledMeetingSecret::name(std::uint64_t epoch) {
  return derive(kForName, epoch);
}

std::vector<std::uint8_t> ModelledMeetingSecret::seal(std::uint64_t epoch, ConstBytes plain) {
  const MeetingName bound_to = name(epoch);
  const auto key = derive(kForKey, epoch);
  std::vector<std::uint8_t> sealed(kNonceBytes + plain.size() + kTagBytes);
  rng_.fill({sealed.data(), kNonceBytes});
  unsigned long long size = 0;
  CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data() + kNonceBytes, &size, plain.data(),
                                                   plain.size(), bound_to.data(), bound_to.size(),
                                                   nullptr, sealed.data(), key.data()) == 0);
  return sealed;
}

std::optional<std::vector<std::uint8_t>> ModelledMeetingSecret::open(std::uint64_t epoch,
                                                                     ConstBytes sealed) {
  if (sealed.size() < kNonceBytes + kTagBytes) return std::nullopt;
  const MeetingName bound_to = name(epoch);
  const auto key = derive(kForKey, epoch);
  std::vector<std::uint8_t> plain(sealed.size() - kNonceBytes - kTagBytes);
  unsigned long long size = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          plain.data(), &size, nullptr, sealed.data() + kNonceBytes, sealed.size() - kNonceBytes,
          bound_to.data(), bound_to.size(), sealed.data(), key.data()) != 0)
    return std::nullopt;
  return plain;
}

}  // namespace ringway::overlay::sim
