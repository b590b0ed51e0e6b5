// Capture files in the classic pcap format (draft-ietf-opsawg-pcap), link type RAW: each record is
// an IP packet, nothing before it. Written with nanoseconds, in the machine's byte order; read
// strictly, in either byte order, with either resolution.
//
//   file:    magic(4) major(2)=2 minor(2)=4 reserved(8) snap_length(4) link_type(4)=101  records...
//   record:  seconds(4) fraction(4) captured_bytes(4) original_bytes(4)  bytes...
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace ringway::io {

inline constexpr std::size_t kPcapFileHeaderBytes = 24;
inline constexpr std::size_t kPcapRecordHeaderBytes = 16;
inline constexpr std::uint32_t kPcapLinkTypeRaw = 101;
// libpcap's MAXIMUM_SNAPLEN: longer records are not believed.
inline constexpr std::uint32_t kPcapMaxRecordBytes = 262'144;

class PcapWriter {
 public:
  // Creates or truncates the file, readable by its owner alone: it will hold people's traffic.
  [[nodiscard]] static Result<PcapWriter> create(const std::string& path);

  // One record of `head` followed by `body`; what exceeds kPcapMaxRecordBytes is cut off. Allocates
  // nothing. Never fails by itself: see flush().
  void write(WallTime time, ConstBytes head, ConstBytes body = {});
  // Everything written so far to the kernel. False when that, or any write() before, failed.
  [[nodiscard]] bool flush();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit PcapWriter(std::FILE* file) : file_(file) {}
  void put(ConstBytes bytes);

  std::unique_ptr<std::FILE, Close> file_;
  bool failed_ = false;
};

struct PcapRecord {
  WallTime time;
  ConstBytes bytes;                  // into the file
  std::uint32_t original_bytes = 0;  // on the wire; more than bytes.size() if the record was cut
};

class PcapReader {
 public:
  // The whole file; must outlive the reader.
  [[nodiscard]] static Result<PcapReader> parse(ConstBytes file);

  // The next record, or empty at the end. After an error, that error again.
  [[nodiscard]] Result<std::optional<PcapRecord>> next();

 private:
  [[nodiscard]] std::uint32_t word(std::size_t at) const;

  ConstBytes file_;
  std::size_t at_ = kPcapFileHeaderBytes;
  std::uint32_t snap_length_ = 0;
  bool swapped_ = false;
  bool nanoseconds_ = false;
};

// A capture file, at most 1 GiB.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_pcap_file(const std::string& path);

}  // namespace ringway::io
