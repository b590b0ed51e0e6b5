#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::wire {

std::size_t encoded_bytes(const Candidates& list) {
  std::size_t bytes = 1;
  for (const net::Endpoint& endpoint : list)
    bytes += 1 + endpoint.address.view().size() + 2;
  return bytes;
}

void ByteWriter::coordinate(const Coordinate& coordinate) {
  number(static_cast<std::uint16_t>(coordinate.x));
  number(static_cast<std::uint16_t>(coordinate.y));
  number(coordinate.height);
  byte(coordinate.error);
}

void ByteWriter::candidates(const Candidates& list) {
  byte(static_cast<std::uint8_t>(list.size()));
  for (const net::Endpoint& endpoint : list) {
    byte(endpoint.address.is_v4() ? kIpv4Candidate : kIpv6Candidate);
    bytes(endpoint.address.view());
    number(endpoint.port);
  }
}

void ByteWriter::contacts(const Contacts& list, std::size_t reserved) {
  std::uint8_t* const count = room(1);
  *count = 0;
  for (const Contact& contact : list) {
    const std::size_t needed = NodeId::kBytes + encoded_bytes(contact.candidates);
    if (size_ + needed + reserved > bytes_.size()) return;
    node_id(contact.node);
    candidates(contact.candidates);
    ++*count;
  }
}

}  // namespace ringway::overlay::wire
