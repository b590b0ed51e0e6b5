#include "dataplane/io/pcap_port.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/io/slot_tools.hpp"

namespace ringway::io {
namespace {

using File = std::vector<std::uint8_t>;

constexpr std::int64_t kSomeTimeNs = 1'700'000'000'123'456'789;

class TemporaryFile {
 public:
  TemporaryFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ringway-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    EXPECT_GE(fd, 0);
    ::close(fd);
    std::filesystem::remove(pattern);
    path_ = pattern;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void append32(File& file, std::uint32_t value, bool big_endian) {
  std::uint8_t bytes[4];
  store_le(bytes, big_endian ? byte_swap(value) : value);
  file.insert(file.end(), bytes, bytes + 4);
}

// A file written by hand from the format's description.
struct HandMade {
  bool big_endian = false;
  std::uint32_t magic = 0xa1b2c3d4;
  std::uint16_t major = 2;
  std::uint16_t minor = 4;
  std::uint32_t snap_length = 65'535;
  std::uint32_t link_type = 101;

  File header() const {
    File file;
    append32(file, magic, big_endian);
    const std::uint32_t first = big_endian ? major : minor;
    const std::uint32_t second = big_endian ? minor : major;
    append32(file, (first << 16) | second, big_endian);
    append32(file, 0, big_endian);
    append32(file, 0, big_endian);
    append32(file, snap_length, big_endian);
    append32(file, link_type, big_endian);
    return file;
  }
  void add(File& file, std::uint32_t seconds, std::uint32_t fraction, const File& bytes,
           std::uint32_t captured, std::uint32_t original) const {
    append32(file, seconds, big_endian);
    append32(file, fraction, big_endian);
    append32(file, captured, big_endian);
    append32(file, original, big_endian);
    file.insert(file.end(), bytes.begin(), bytes.end());
  }
  void add(File& file, std::uint32_t seconds, std::uint32_t fraction, const File& bytes) const {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    add(file, seconds, fraction, bytes, size, size);
  }
};

std::vector<PcapRecord> records_of(ConstBytes file) {
  std::vector<PcapRecord> records;
  auto reader = PcapReader::parse(file);
  EXPECT_TRUE(reader) << reader.error().text();
  while (reader) {
    const auto record = reader->next();
    EXPECT_TRUE(record) << record.error().text();
    if (!record || !*record) break;
    records.push_back(**record);
  }
  return records;
}

TEST(PcapReader, ReadsEitherByteOrderAndResolution) {
  for (const bool big_endian : {false, true}) {
    for (const bool nanoseconds : {false, true}) {
      HandMade made;
      made.big_endian = big_endian;
      made.magic = nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4;
      File file = made.header();
      made.add(file, 1'700'000'000, 999'999, {1, 2, 3});
      made.add(file, 4'000'000'000, 5, {}, 0, 99);
      const std::vector<PcapRecord> records = records_of(file);
      ASSERT_EQ(records.size(), 2U);
      EXPECT_EQ(File(records[0].bytes.begin(), records[0].bytes.end()), (File{1, 2, 3}));
      EXPECT_EQ(records[0].time.unix_ns(),
                1'700'000'000'000'000'000 + (nanoseconds ? 999'999 : 999'999'000));
      EXPECT_EQ(records[1].time.unix_seconds(), 4'000'000'000);
      EXPECT_EQ(records[1].original_bytes, 99U);
    }
  }
}

TEST(PcapReader, RefusesHeadersThatAreNotItsFormat) {
  const auto refuses = [](const HandMade& made) {
    return !PcapReader::parse(made.header()).has_value();
  };
  EXPECT_FALSE(refuses({}));
  EXPECT_TRUE(refuses({.magic = 0x0a0d0d0a})) << "pcapng";
  EXPECT_TRUE(refuses({.major = 1}));
  EXPECT_TRUE(refuses({.minor = 3}));
  EXPECT_TRUE(refuses({.snap_length = 0}));
  EXPECT_TRUE(refuses({.snap_length = 262'145}));
  EXPECT_FALSE(refuses({.snap_length = 262'144}));
  EXPECT_TRUE(refuses({.link_type = 1})) << "Ethernet";
  const File header = HandMade{}.header();
  for (std::size_t length = 0; length < header.size(); ++length) {
    EXPECT_FALSE(PcapReader::parse(ConstBytes(header).first(length))) << length;
  }
}

TEST(PcapReader, RefusesRecordsThatLie) {
  const HandMade made{.snap_length = 100};
  const auto refuses = [&](std::uint32_t fraction, std::uint32_t captured, std::uint32_t original) {
    File file = made.header();
    made.add(file, 1, fraction, File(100), captured, original);
    auto reader = PcapReader::parse(file);
    EXPECT_TRUE(reader);
    const auto first = reader->next();
    const auto second = reader->next();
    if (!first) {
      EXPECT_FALSE(second) << "an error stays";
      EXPECT_NE(first.error().message.find("byte 24"), std::string::npos);
    }
    return !first.has_value();
  };
  EXPECT_FALSE(refuses(0, 100, 100));
  EXPECT_FALSE(refuses(0, 100, 1500));
  EXPECT_TRUE(refuses(1'000'000, 100, 100));
  EXPECT_TRUE(refuses(0, 101, 101)) << "past the snap length";
  EXPECT_TRUE(refuses(0, 100, 99));
  EXPECT_TRUE(refuses(0, 0xffff'ffff, 0xffff'ffff));
}

TEST(PcapReader, RefusesEveryTruncationButTheOneBetweenRecords) {
  const HandMade made;
  File file = made.header();
  made.add(file, 1, 2, {1, 2, 3});
  const std::size_t boundary = file.size();
  made.add(file, 1, 3, {4, 5});
  for (std::size_t length = kPcapFileHeaderBytes; length <= file.size(); ++length) {
    auto reader = PcapReader::parse(ConstBytes(file).first(length));
    ASSERT_TRUE(reader);
    bool clean = true;
    for (;;) {
      const auto record = reader->next();
      clean = record.has_value();
      if (!record || !*record) break;
    }
    const bool whole =
        length == kPcapFileHeaderBytes || length == boundary || length == file.size();
    EXPECT_EQ(clean, whole) << length;
  }
}

TEST(PcapWriter, WritesTheBytesOfTheFormat) {
  const TemporaryFile temporary;
  {
    auto writer = PcapWriter::create(temporary.path());
    ASSERT_TRUE(writer) << writer.error().text();
    writer->write(WallTime::from_unix_ns(kSomeTimeNs), File{0x45, 1}, File{2, 3, 4});
    EXPECT_TRUE(writer->flush());
  }
  HandMade made;
  made.magic = 0xa1b23c4d;
  made.snap_length = 262'144;
  File expected = made.header();
  made.add(expected, 1'700'000'000, 123'456'789, {0x45, 1, 2, 3, 4});
  EXPECT_EQ(read_pcap_file(temporary.path()), expected);
  struct stat status {};
  ASSERT_EQ(::stat(temporary.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U) << "other users must not read people's traffic";
}

TEST(PcapWriter, CutsWhatItsReaderWouldRefuse) {
  const TemporaryFile temporary;
  {
    auto writer = PcapWriter::create(temporary.path());
    ASSERT_TRUE(writer);
    writer->write(WallTime{}, File(40), File(kPcapMaxRecordBytes));
  }
  const auto file = read_pcap_file(temporary.path());
  ASSERT_TRUE(file);
  const std::vector<PcapRecord> records = records_of(*file);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].bytes.size(), kPcapMaxRecordBytes);
  EXPECT_EQ(records[0].original_bytes, kPcapMaxRecordBytes + 40);
}

TEST(PcapWriter, NamesTheFileItCannotCreate) {
  const auto writer = PcapWriter::create("/nonexistent/x.pcap");
  ASSERT_FALSE(writer);
  EXPECT_NE(writer.error().message.find("/nonexistent/x.pcap"), std::string::npos);
}

TEST(PcapWriter, ReportsAFullDevice) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  EXPECT_FALSE(PcapWriter::create("/dev/full"));
}

MemoryPortConfig memory_config() {
  MemoryPortConfig config;
  config.capabilities.datagram_trains_tx = true;
  return config;
}

TEST(PcapPort, WritesInnerPacketsOfBothDirectionsAsTheyAre) {
  const TemporaryFile temporary;
  MemoryPort memory(memory_config());
  {
    PcapPort port(memory, std::move(*PcapWriter::create(temporary.path())),
                  PcapContents::kIpPackets);
    port.set_time(WallTime::from_unix_ns(kSomeTimeNs));
    ASSERT_TRUE(memory.inject_copy(File{0x45, 1, 2}));
    Slot slot;
    ASSERT_EQ(port.rx_burst({&slot, 1}), 1U);
    port.set_time(WallTime::from_unix_ns(kSomeTimeNs + 1));
    EXPECT_EQ(port.tx_burst({&slot, 1}), 0U);
    ASSERT_EQ(memory.take_sent({&slot, 1}), 1U);
    BufferPool::release(slot);
    EXPECT_TRUE(port.flush());
    EXPECT_EQ(port.counters().rx_packets.value(), 1U);
    EXPECT_EQ(port.counters().tx_packets.value(), 1U);
  }
  const auto file = read_pcap_file(temporary.path());
  ASSERT_TRUE(file);
  const std::vector<PcapRecord> records = records_of(*file);
  ASSERT_EQ(records.size(), 2U);
  for (const PcapRecord& record : records)
    EXPECT_EQ(File(record.bytes.begin(), record.bytes.end()), (File{0x45, 1, 2}));
  EXPECT_EQ(records[0].time.unix_ns(), kSomeTimeNs);
  EXPECT_EQ(records[1].time.unix_ns(), kSomeTimeNs + 1);
  EXPECT_EQ(memory.pool().held(), 0U);
}

TEST(PcapPort, ShowsDatagramsBehindHeaders) {
  for (const char* remote_text : {"192.0.2.9:51820", "[2001:db8::9]:51820"}) {
    const net::Endpoint remote = *net::Endpoint::parse(remote_text);
    const TemporaryFile temporary;
    MemoryPort memory(memory_config());
    {
      PcapPort port(memory, std::move(*PcapWriter::create(temporary.path())),
                    PcapContents::kDatagrams, 4242);
      ASSERT_TRUE(memory.inject_copy(File{9, 9, 9}, remote));
      Slot slot;
      ASSERT_EQ(port.rx_burst({&slot, 1}), 1U);
      slot.train = TrainKind::kDatagrams;
      slot.segment_bytes = 2;
      port.tx_burst({&slot, 1});
      ASSERT_EQ(memory.take_sent({&slot, 1}), 1U);
      BufferPool::release(slot);
    }
    const auto file = read_pcap_file(temporary.path());
    ASSERT_TRUE(file);
    const std::vector<PcapRecord> records = records_of(*file);
    ASSERT_EQ(records.size(), 3U) << "one received, a run of two sent";
    const std::size_t payload_bytes[] = {3, 2, 1};
    for (std::size_t i = 0; i < 3; ++i) {
      const bool received = i == 0;
      std::optional<net::UdpView> udp;
      net::IpAddress source;
      net::IpAddress destination;
      std::uint64_t pseudo = 0;
      if (const auto ip4 = net::Ip4View::parse(records[i].bytes)) {
        EXPECT_TRUE(ip4->checksum_valid());
        source = ip4->source_address();
        destination = ip4->destination_address();
        pseudo = ip4->pseudo_header_sum();
        udp = net::UdpView::parse(ip4->payload());
      } else {
        const auto ip6 = net::Ip6View::parse(records[i].bytes);
        ASSERT_TRUE(ip6);
        source = ip6->source_address();
        destination = ip6->destination_address();
        pseudo = net::pseudo_header_sum_v6(ip6->source(), ip6->destination(), net::kProtocolUdp,
                                           ip6->payload_bytes());
        udp = net::UdpView::parse(ip6->payload());
      }
      ASSERT_TRUE(udp);
      EXPECT_TRUE(udp->checksum_valid(pseudo));
      EXPECT_EQ(udp->payload().size(), payload_bytes[i]);
      EXPECT_EQ(received ? source : destination, remote.address);
      EXPECT_EQ(received ? udp->source_port() : udp->destination_port(), 51'820);
      EXPECT_EQ(received ? udp->destination_port() : udp->source_port(), 4242);
    }
  }
}

File three_packets() {
  const HandMade made;
  File file = made.header();
  made.add(file, 100, 0, {1});
  made.add(file, 100, 5'000, {2, 2}, 2, 60);
  made.add(file, 101, 0, {3, 3, 3});
  return file;
}

TEST(PcapReplayPort, ReceivesTheRecordsInOrder) {
  auto port = PcapReplayPort::open(three_packets(), {});
  ASSERT_TRUE(port) << port.error().text();
  std::array<Slot, 8> out;
  ASSERT_EQ((*port)->rx_burst(std::span(out).first(2)), 2U);
  ASSERT_EQ((*port)->rx_burst(std::span(out).subspan(2)), 1U);
  for (std::uint8_t i = 0; i < 3; ++i) {
    EXPECT_EQ(out[i].length, i + 1U);
    EXPECT_EQ(out[i].data[i], i + 1U);
    EXPECT_EQ(out[i].truncated, i == 1);
  }
  EXPECT_EQ((*port)->rx_burst(out), 0U);
  EXPECT_EQ((*port)->remaining(), 0U);
  EXPECT_EQ((*port)->counters().rx_bytes.value(), 6U);
  EXPECT_EQ((*port)->tx_burst(std::span(out).first(3)), 0U);
  EXPECT_EQ((*port)->counters().tx_packets.value(), 3U);
  EXPECT_EQ((*port)->pool().held(), 0U);
  EXPECT_EQ((*port)->pool().allocated(), (*port)->pool().freed());
}

TEST(PcapReplayPort, PacesByTheRecordsTimes) {
  auto port = PcapReplayPort::open(three_packets(), {.paced = true});
  ASSERT_TRUE(port);
  std::array<Slot, 8> out;
  EXPECT_EQ((*port)->rx_burst(out), 0U) << "its time has not begun";
  const Instant start = Instant::from_ns(777);
  const auto arrived_by = [&](Duration after) {
    (*port)->advance(start + after);
    const std::size_t got = (*port)->rx_burst(out);
    release_all(std::span(out).first(got));
    return got;
  };
  EXPECT_EQ(arrived_by(Duration{}), 1U);
  EXPECT_EQ(arrived_by(Duration::nanoseconds(4'999'999)), 0U);
  EXPECT_EQ(arrived_by(Duration::milliseconds(5)), 1U);
  EXPECT_EQ(arrived_by(Duration::milliseconds(999)), 0U);
  EXPECT_EQ(arrived_by(Duration::seconds(2)), 1U);
}

TEST(PcapReplayPort, WaitsForABufferRatherThanSkippingAPacket) {
  auto port = PcapReplayPort::open(three_packets(), {.buffer_count = 1});
  ASSERT_TRUE(port);
  std::array<Slot, 8> out;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    ASSERT_EQ((*port)->rx_burst(out), 1U);
    EXPECT_EQ(out[0].length, i);
    BufferPool::release(out[0]);
  }
}

TEST(PcapReplayPort, RefusesAFileWithABadRecordAnywhere) {
  File file = three_packets();
  file.pop_back();
  EXPECT_FALSE(PcapReplayPort::open(file, {}));
}

TEST(PcapReplayPort, ReplaysWhatPcapPortWrote) {
  const TemporaryFile temporary;
  MemoryPort memory(memory_config());
  {
    PcapPort port(memory, std::move(*PcapWriter::create(temporary.path())),
                  PcapContents::kIpPackets);
    for (std::uint8_t i = 1; i < 50; ++i)
      ASSERT_TRUE(memory.inject_copy(File(std::size_t{i} * 20, i)));
    std::array<Slot, 64> out;
    const std::size_t got = port.rx_burst(out);
    release_all(std::span(out).first(got));
  }
  auto replay = PcapReplayPort::open(*read_pcap_file(temporary.path()), {});
  ASSERT_TRUE(replay) << replay.error().text();
  std::array<Slot, 64> out;
  ASSERT_EQ((*replay)->rx_burst(out), 49U);
  for (std::uint8_t i = 1; i < 50; ++i) {
    const Slot& slot = out[i - 1U];
    EXPECT_EQ(File(slot.data, slot.data + slot.length), File(std::size_t{i} * 20, i));
  }
  release_all(std::span(out).first(49));
}

}  // namespace
}  // namespace ringway::io
