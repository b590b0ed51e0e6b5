#include "tests/bpf/frame_builder.hpp"

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/net/address.hpp"

namespace ringway::bpf_test {
namespace {

void put16(Frame& frame, std::uint32_t value) {
  frame.push_back(static_cast<std::uint8_t>(value >> 8));
  frame.push_back(static_cast<std::uint8_t>(value));
}

void put_address(Frame& frame, const std::string& text) {
  const auto address = net::IpAddress::parse(text);
  CHECK(address.has_value());
  frame.insert(frame.end(), address->view().begin(), address->view().end());
}

}  // namespace

Frame operator+(Frame first, const Frame& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

Frame ethernet(const Frame& packet, const std::vector<std::uint16_t>& tags) {
  Frame frame(12, 2);
  for (const std::uint16_t tag : tags) {
    put16(frame, tag);
    put16(frame, 5);
  }
  put16(frame, packet[0] >> 4 == 6 ? 0x86dd : 0x0800);
  return frame + packet;
}

Frame ethernet_of_type(std::uint16_t type, const Frame& packet) {
  Frame frame(12, 2);
  put16(frame, type);
  return frame + packet;
}

Frame ip4(const Ip4& header, const Frame& payload) {
  const std::size_t header_bytes = 20U + header.option_bytes;
  Frame packet = {static_cast<std::uint8_t>(0x40 | (header_bytes / 4)), 0};
  put16(packet, static_cast<std::uint32_t>(header_bytes + payload.size()));
  put16(packet, header.identification);
  put16(packet, header.fragment_word);
  packet.push_back(64);
  packet.push_back(header.protocol);
  put16(packet, 0);
  put_address(packet, header.source);
  put_address(packet, header.destination);
  packet.insert(packet.end(), header.option_bytes, 1);
  return packet + payload;
}

Frame ip6(const Ip6& header, const Frame& payload) {
  Frame packet = {0x60, 0, 0, 0};
  put16(packet, static_cast<std::uint32_t>(payload.size()));
  packet.push_back(header.next);
  packet.push_back(64);
  put_address(packet, header.source);
  put_address(packet, header.destination);
  return packet + payload;
}

Frame options_header(std::uint8_t next, std::uint8_t extra_units) {
  Frame header = {next, extra_units};
  header.resize(8 + std::size_t{extra_units} * 8, 0);
  return header;
}

Frame routing_header(std::uint8_t next, std::uint8_t segments_left) {
  return {next, 0, 0, segments_left, 0, 0, 0, 0};
}

Frame authentication_header(std::uint8_t next) {
  Frame header = {next, 4};  // RFC 4302: units of four bytes, less two
  header.resize(24, 0);
  return header;
}

Frame fragment_header(std::uint8_t next, std::uint16_t word, std::uint32_t identification) {
  Frame header = {next, 0};
  put16(header, word);
  put16(header, identification >> 16);
  put16(header, identification);
  return header;
}

Frame ports(std::uint16_t source, std::uint16_t destination) {
  Frame header;
  put16(header, source);
  put16(header, destination);
  header.resize(16, 0);
  return header;
}

Frame icmp(std::uint8_t type, std::uint16_t identifier, const Frame& body) {
  Frame message = {type, 0, 0, 0};
  put16(message, identifier);
  put16(message, 1);
  return message + body;
}

}  // namespace ringway::bpf_test
