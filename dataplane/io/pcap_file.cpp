#include "dataplane/io/pcap_file.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ringway::io {
namespace {

constexpr std::uint32_t kMagicMicroseconds = 0xa1b2c3d4;
constexpr std::uint32_t kMagicNanoseconds = 0xa1b23c4d;
constexpr std::uint16_t kVersionMajor = 2;
constexpr std::uint16_t kVersionMinor = 4;
constexpr std::uint32_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;

}  // namespace

Result<PcapWriter> PcapWriter::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return system_failure("creating capture file " + path, errno);
  std::FILE* const file = ::fdopen(fd, "wb");
  if (file == nullptr) {
    const int error = errno;
    ::close(fd);
    return system_failure("creating capture file " + path, error);
  }
  PcapWriter writer(file);
  std::uint8_t header[kPcapFileHeaderBytes] = {};
  store_le(header, kMagicNanoseconds);
  store_le(header + 4, kVersionMajor);
  store_le(header + 6, kVersionMinor);
  store_le(header + 16, kPcapMaxRecordBytes);
  store_le(header + 20, kPcapLinkTypeRaw);
  writer.put(header);
  // stdio allocates its buffer now, not on the packet path.
  if (!writer.flush()) return system_failure("writing capture file " + path, errno);
  return writer;
}

void PcapWriter::write(WallTime time, ConstBytes head, ConstBytes body) {
  const std::size_t original = head.size() + body.size();
  head = head.first(std::min<std::size_t>(head.size(), kPcapMaxRecordBytes));
  body = body.first(std::min<std::size_t>(body.size(), kPcapMaxRecordBytes - head.size()));
  const std::int64_t ns = std::max<std::int64_t>(time.unix_ns(), 0);
  std::uint8_t header[kPcapRecordHeaderBytes];
  store_le(header, static_cast<std::uint32_t>(ns / kNanosecondsPerSecond));
  store_le(header + 4, static_cast<std::uint32_t>(ns % kNanosecondsPerSecond));
  store_le(header + 8, static_cast<std::uint32_t>(head.size() + body.size()));
  store_le(header + 12, static_cast<std::uint32_t>(original));
  put(header);
  put(head);
  put(body);
}

bool PcapWriter::flush() {
  if (std::fflush(file_.get()) != 0) failed_ = true;
  return !failed_;
}

void PcapWriter::put(ConstBytes bytes) {
  if (bytes.empty()) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) failed_ = true;
}

Result<PcapReader> PcapReader::parse(ConstBytes file) {
  if (file.size() < kPcapFileHeaderBytes) {
    return failure("capture file is shorter than its header", "a classic pcap file is expected");
  }
  PcapReader reader;
  reader.file_ = file;
  const auto magic = load_le<std::uint32_t>(file.data());
  for (const bool swapped : {false, true}) {
    for (const bool nanoseconds : {false, true}) {
      const std::uint32_t known = nanoseconds ? kMagicNanoseconds : kMagicMicroseconds;
      if (magic != (swapped ? byte_swap(known) : known)) continue;
      reader.swapped_ = swapped;
      reader.nanoseconds_ = nanoseconds;
      const std::uint32_t versions = reader.word(4);
      const std::uint32_t major = swapped ? versions >> 16 : versions & 0xffff;
      const std::uint32_t minor = swapped ? versions & 0xffff : versions >> 16;
      if (major != kVersionMajor || minor != kVersionMinor) {
        return failure("capture file is not of version 2.4");
      }
      reader.snap_length_ = reader.word(16);
      if (reader.snap_length_ == 0 || reader.snap_length_ > kPcapMaxRecordBytes) {
        return failure("capture file has an impossible snap length");
      }
      if (reader.word(20) != kPcapLinkTypeRaw) {
        return failure("capture file is not of link type RAW (101)",
                       "capture on a TUN interface, or convert it");
      }
      return reader;
    }
  }
  return failure("not a capture file: unknown magic number", "a classic pcap file is expected");
}

Result<std::optional<PcapRecord>> PcapReader::next() {
  const auto refuse = [this](const char* what) {
    return failure("capture file, record at byte " + std::to_string(at_) + ": " + what);
  };
  if (at_ == file_.size()) return std::optional<PcapRecord>{};
  if (file_.size() - at_ < kPcapRecordHeaderBytes) return refuse("header cut off");
  const std::uint32_t seconds = word(at_);
  const std::uint32_t fraction = word(at_ + 4);
  const std::uint32_t captured = word(at_ + 8);
  const std::uint32_t original = word(at_ + 12);
  const std::uint32_t unit_ns = nanoseconds_ ? 1 : 1'000;
  if (fraction >= kNanosecondsPerSecond / unit_ns) return refuse("a second or more of fraction");
  if (captured > snap_length_) return refuse("longer than the snap length");
  if (captured > original) return refuse("more captured than there was");
  const std::size_t begin = at_ + kPcapRecordHeaderBytes;
  if (captured > file_.size() - begin) return refuse("cut off");
  PcapRecord record;
  record.time = WallTime::from_unix_ns(std::int64_t{seconds} * kNanosecondsPerSecond +
                                       std::int64_t{fraction} * unit_ns);
  record.bytes = file_.subspan(begin, captured);
  record.original_bytes = original;
  at_ = begin + captured;
  return record;
}

std::uint32_t PcapReader::word(std::size_t at) const {
  const auto value = load_le<std::uint32_t>(file_.data() + at);
  return swapped_ ? byte_swap(value) : value;
}

Result<std::vector<std::uint8_t>> read_pcap_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose);
  if (file == nullptr) return system_failure("opening capture file " + path, errno);
  std::vector<std::uint8_t> bytes;
  std::uint8_t block[16384];
  while (const std::size_t got = std::fread(block, 1, sizeof block, file.get())) {
    if (got > kMaxFileBytes - bytes.size()) {
      return failure("capture file " + path + " is longer than 1 GiB");
    }
    bytes.insert(bytes.end(), block, block + got);
  }
  if (std::ferror(file.get()) != 0) return system_failure("reading capture file " + path, errno);
  return bytes;
}

}  // namespace ringway::io
