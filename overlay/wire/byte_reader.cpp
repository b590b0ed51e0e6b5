#include "overlay/wire/byte_reader.hpp"

#include "overlay/wire/limits.hpp"

namespace ringway::overlay::wire {

Candidates ByteReader::candidates() {
  Candidates result;
  for (std::size_t left = count(kMaxCandidates); left > 0 && !failed_; --left) {
    const auto family = number<std::uint8_t>();
    net::Endpoint endpoint;
    if (family == kIpv4Candidate) {
      if (const ConstBytes address = take(4); !failed_)
        endpoint.address = net::IpAddress::v4(address.data());
    } else if (family == kIpv6Candidate) {
      if (const ConstBytes address = take(16); !failed_)
        endpoint.address = net::IpAddress::v6(address.data());
    } else {
      fail();
    }
    endpoint.port = number<std::uint16_t>();
    if (!endpoint.valid()) fail();
    result.add(endpoint);
  }
  return result;
}

Coordinate ByteReader::coordinate() {
  Coordinate result;
  result.x = static_cast<std::int16_t>(number<std::uint16_t>());
  result.y = static_cast<std::int16_t>(number<std::uint16_t>());
  result.height = number<std::uint16_t>();
  result.error = number<std::uint8_t>();
  if (!result.valid()) fail();
  return result;
}

Contacts ByteReader::contacts() {
  Contacts result;
  for (std::size_t left = count(kMaxContacts); left > 0 && !failed_; --left) {
    Contact contact;
    contact.node = node_id();
    contact.candidates = candidates();
    result.add(contact);
  }
  return result;
}

}  // namespace ringway::overlay::wire
