// Ports with capture files: PcapPort writes down what passes another port, PcapReplayPort receives
// what was written down. For debugging and tests. The time of a record is given, not read from a
// clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/pcap_file.hpp"
#include "dataplane/io/port.hpp"

namespace ringway::io {

// What the wrapped port's slots hold.
enum class PcapContents : std::uint8_t {
  kIpPackets,  // inner: written as they are, super-packets whole, as tcpdump would show them
  kDatagrams,  // outer: UDP payloads, each written behind an IP and UDP header made from `remote`
               // and `local` of its slot (unspecified where the slot does not say)
};

class PcapPort final : public Port {
 public:
  // `wrapped` must outlive this port. local_port: the UDP port shown on our side (kDatagrams).
  PcapPort(Port& wrapped, PcapWriter writer, PcapContents contents, std::uint16_t local_port = 0);

  // The time of what passes from now on.
  void set_time(WallTime now) { now_ = now; }
  // See PcapWriter::flush().
  [[nodiscard]] bool flush() { return writer_.flush(); }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override;
  // Written before sending: also what the wrapped port then refuses.
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override {
    return wrapped_.alloc_burst(out);
  }
  void reclaim() override { wrapped_.reclaim(); }
  [[nodiscard]] const PortCapabilities& capabilities() const override {
    return wrapped_.capabilities();
  }
  [[nodiscard]] int wake_fd() const override { return wrapped_.wake_fd(); }
  [[nodiscard]] int side_wake_fd() const override { return wrapped_.side_wake_fd(); }
  [[nodiscard]] bool wants_polling() const override { return wrapped_.wants_polling(); }
  [[nodiscard]] std::string describe() const override;

 private:
  enum class Direction : std::uint8_t { kReceived, kSent };
  void record(const Slot& slot, Direction direction);
  void record_datagram(const Slot& slot, Direction direction);

  Port& wrapped_;
  PcapWriter writer_;
  PcapContents contents_;
  std::uint16_t local_port_;
  WallTime now_{};
};

struct PcapReplayConfig {
  std::uint32_t buffer_count = 1024;
  // True: each packet is received as long after the first advance() as it was captured after the
  // first packet. False: all of them at once.
  bool paced = false;
};

// What is sent is counted and released.
class PcapReplayPort final : public Port {
 public:
  // Checks every record before the first is received.
  [[nodiscard]] static Result<std::unique_ptr<PcapReplayPort>> open(std::vector<std::uint8_t> file,
                                                                    const PcapReplayConfig& config);

  void advance(Instant now);
  [[nodiscard]] std::size_t remaining() const { return records_.size() - next_; }
  [[nodiscard]] BufferPool& pool() { return pool_; }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override;
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override;
  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] int wake_fd() const override { return -1; }
  [[nodiscard]] std::string describe() const override;

 private:
  struct Record {
    std::size_t at = 0;  // in file_
    std::uint32_t bytes = 0;
    bool truncated = false;
    Duration after_first{};
  };
  PcapReplayPort(std::vector<std::uint8_t> file, std::vector<Record> records,
                 const PcapReplayConfig& config, std::uint32_t buffer_bytes);
  [[nodiscard]] static Result<std::vector<Record>> index(ConstBytes file);
  [[nodiscard]] bool due(const Record& record) const;

  std::vector<std::uint8_t> file_;
  std::vector<Record> records_;
  PcapReplayConfig config_;
  BufferPool pool_;
  PortCapabilities capabilities_{};
  std::size_t next_ = 0;
  bool started_ = false;
  Instant start_{};
  Instant now_{};
};

}  // namespace ringway::io
