// Handshake timestamps on disk, so that a restart neither repeats one that it sent (peers would
// refuse it as a replay) nor accepts an old one again.
//
// What was sent is kept as a ceiling a minute ahead, so that the disk is touched once in a while
// and not by every handshake; after a crash timestamps go on from the ceiling. What was
// received is a log of fixed records, of which the newest of a peer counts, rewritten at each
// start and when it has grown. Source: WireGuard whitepaper, section 5.1; SECURITY: sessions and
// handshakes, 5.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <sys/types.h>

#include "base/result.hpp"
#include "controlplane/tunnel_control/tunnel_service.hpp"

namespace ringway::control {

class TimestampFile final : public TimestampStore {
 public:
  // directory: exists or is made (0700). Fails where it cannot be written.
  [[nodiscard]] static Result<std::unique_ptr<TimestampFile>> open(const std::string& directory);
  ~TimestampFile() override;

  void store_sent(const tunnel::Tai64n& timestamp) override;
  void store_received(const tunnel::PublicKey& peer, const tunnel::Tai64n& timestamp) override;
  [[nodiscard]] tunnel::Tai64n last_sent() const override { return ceiling_; }
  [[nodiscard]] tunnel::Tai64n last_received(const tunnel::PublicKey& peer) const override;

 private:
  explicit TimestampFile(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] Result<void> load_sent();
  [[nodiscard]] Result<void> load_received();
  [[nodiscard]] Result<void> rewrite_received();

  std::string directory_;
  tunnel::Tai64n ceiling_{};
  tunnel::Tai64n newest_sent_{};  // since open(); zeros: none
  std::map<tunnel::PublicKey, tunnel::Tai64n> received_;
  int received_fd_ = -1;
  off_t logged_bytes_ = 0;  // whole records in the log
};

}  // namespace ringway::control
