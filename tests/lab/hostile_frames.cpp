// lab-hostile-frames: writes the frames of tests/unit/hostile_frames.hpp to a file that lab-flood
// reads.
//
//   lab-hostile-frames OUT KEPT SEED FROM4 FROM6 TO4 TO6 FROM-PORT UDP-PORT TCP-PORT IDENTIFIER
//                      TUNNEL-PORT ADDRESS...
//
// KEPT is tests/vectors/hostile_frames.txt. The ports are those to which frames go, the addresses
// others that are worth a try.
#include "tests/unit/hostile_frames.hpp"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/net/ethernet.hpp"

namespace {

using namespace ringway;

constexpr int kLeastArguments = 13;

[[noreturn]] void fail(std::string_view what, std::string_view about) {
  std::fprintf(stderr, "lab-hostile-frames: %.*s %.*s\n", static_cast<int>(what.size()),
               what.data(), static_cast<int>(about.size()), about.data());
  std::exit(2);
}

template <typename T>
T number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) fail("this is no number:", text);
  return value;
}

net::IpAddress address(std::string_view text) {
  const auto parsed = net::IpAddress::parse(text);
  if (!parsed) fail("this is no address:", text);
  return *parsed;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < kLeastArguments) fail("see the head of its source for its", "arguments");
  const hostile::Listeners to{number<std::uint16_t>(argv[9]), number<std::uint16_t>(argv[10]),
                              number<std::uint16_t>(argv[11])};
  hostile::Ends ends{address(argv[4]),
                     address(argv[5]),
                     address(argv[6]),
                     address(argv[7]),
                     number<std::uint16_t>(argv[8]),
                     to,
                     to,
                     number<std::uint16_t>(argv[12]),
                     {}};
  for (int i = kLeastArguments; i < argc; ++i)
    ends.others.push_back(address(argv[i]));
  std::ofstream out(argv[1], std::ios::binary);
  const auto write = [&](const hostile::Origin&, ConstBytes frame) {
    if (frame.size() < net::EthernetView::kHeaderBytes) return;  // a packet socket refuses them
    char length[2];
    store_le(reinterpret_cast<std::uint8_t*>(length), static_cast<std::uint16_t>(frame.size()));
    out.write(length, sizeof length);
    out.write(reinterpret_cast<const char*>(frame.data()),
              static_cast<std::streamsize>(frame.size()));
  };
  hostile::make_frames(ends, number<std::uint64_t>(argv[3]), write);
  if (hostile::read_frames(argv[2], write) == 0) fail("there are no frames in", argv[2]);
  if (!out.flush()) fail("could not be written:", argv[1]);
  return 0;
}
