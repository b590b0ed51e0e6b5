#include "dataplane/io/udp_sender.hpp"

#include <algorithm>
#include <cerrno>

#include <poll.h>

#include "dataplane/io/udp_port.hpp"

namespace ringway::io {
namespace {

// One wait for a full queue; longer would hold up the worker's other ports.
constexpr int kFullQueueWaitMs = 1;

bool is_datagram_slot(const Slot& slot) {
  return slot.train == TrainKind::kNone ||
         (slot.train == TrainKind::kDatagrams && slot.segment_bytes != 0);
}

std::uint32_t datagram_bytes(const Slot& slot) {
  return slot.train == TrainKind::kNone ? slot.length : slot.segment_bytes;
}

bool same_way(const Slot& a, const Slot& b) {
  return a.remote == b.remote && a.traffic_class == b.traffic_class && a.interface == b.interface &&
         a.local == b.local;
}

// What the kernel says when a segmented send does not suit the route: no checksum offload or IPsec
// (EIO), a segment past the path MTU (EINVAL, later EMSGSIZE), no such thing (EOPNOTSUPP).
bool refuses_segmentation(int error) {
  return error == EIO || error == EINVAL || error == EMSGSIZE || error == EOPNOTSUPP;
}

// What it says when the source address is no longer ours, or has no route to there.
bool refuses_source(int error) {
  return error == EINVAL || error == ENETUNREACH || error == EHOSTUNREACH ||
         error == EADDRNOTAVAIL || error == ENODEV;
}

// Errors that an earlier packet's ICMP answer may have left on the socket: reading them clears
// them.
bool may_be_stale(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == EHOSTDOWN || error == ENOPROTOOPT || error == EPROTO;
}

}  // namespace

UdpSender::UdpSender(int fd, bool dual_stack, bool segmentation, Counter& refusals)
    : fd_(fd), dual_stack_(dual_stack), segmentation_(segmentation), refusals_(refusals) {
  for (std::size_t i = 0; i < kMaxMessages; ++i) {
    headers_[i].msg_hdr.msg_name = &addresses_[i];
    headers_[i].msg_hdr.msg_control = controls_[i].bytes;
  }
}

UdpSender::Totals UdpSender::send(std::span<const Slot> slots) {
  Totals totals;
  Cursor cursor;
  while (cursor.slot < slots.size()) {
    plan(slots, cursor, totals);
    flush(slots, cursor, totals);
  }
  return totals;
}

void UdpSender::plan(std::span<const Slot> slots, Cursor& cursor, Totals& totals) {
  message_count_ = 0;
  piece_count_ = 0;
  while (cursor.slot < slots.size() && message_count_ < kMaxMessages && piece_count_ < kMaxPieces) {
    const Slot& slot = slots[cursor.slot];
    if (!is_datagram_slot(slot) || !begin_message(slots, cursor)) {
      totals.dropped += segment_count(slot);
      cursor = {cursor.slot + 1, 0};
      continue;
    }
    take_pieces(slots, cursor, messages_[message_count_]);
    finish_message(message_count_);
    ++message_count_;
  }
}

// False when the destination is of a family that the socket does not have.
bool UdpSender::begin_message(std::span<const Slot> slots, Cursor cursor) {
  const Slot& slot = slots[cursor.slot];
  msghdr& header = headers_[message_count_].msg_hdr;
  header.msg_namelen = emit_remote(slot, dual_stack_, addresses_[message_count_]);
  if (header.msg_namelen == 0) return false;
  header.msg_iov = &pieces_[piece_count_];
  header.msg_iovlen = 0;
  Message& message = messages_[message_count_];
  message = Message{};
  message.start = cursor;
  message.slot = &slot;
  message.segment_bytes = datagram_bytes(slot);
  return true;
}

// Whole and partial slots, as long as they continue the message's run of equal datagrams.
void UdpSender::take_pieces(std::span<const Slot> slots, Cursor& cursor, Message& message) {
  const Slot& first = *message.slot;
  const bool more_than_one = first.length - cursor.offset > message.segment_bytes ||
                             (cursor.slot + 1 < slots.size() && message.segment_bytes != 0);
  if (more_than_one) {
    message.max_segments = max_segments_to(first.remote.address, message.segment_bytes);
  }
  if (!take_piece(first, cursor, message)) return;
  while (!message.full && cursor.slot < slots.size() && piece_count_ < kMaxPieces) {
    const Slot& next = slots[cursor.slot];
    if (!is_datagram_slot(next) || next.length == 0 || !same_way(first, next)) return;
    const std::uint32_t next_bytes = datagram_bytes(next);
    const bool continues = next_bytes == message.segment_bytes ||
                           (next.train == TrainKind::kNone && next_bytes < message.segment_bytes);
    if (!continues || !take_piece(next, cursor, message)) return;
  }
}

// Takes what fits of the slot. False when the slot was not finished, for the message is full.
bool UdpSender::take_piece(const Slot& slot, Cursor& cursor, Message& message) {
  const std::uint32_t rest = slot.length - cursor.offset;
  const std::uint32_t segment = message.segment_bytes;
  std::uint32_t take = rest;
  if (message.segments == 0 && rest <= segment) {
    // One datagram, whatever its length: the kernel judges.
    message.full = rest != segment || message.max_segments == 1;
  } else {
    const std::uint32_t room = std::min((message.max_segments - message.segments) * segment,
                                        UdpPort::kMaxTrainBytes - message.bytes);
    if (rest > room) {
      take = room / segment * segment;
      if (message.segments == 0 && take == 0) take = segment;
    }
  }
  if (take == 0 && rest != 0) {
    message.full = true;
    return false;
  }
  pieces_[piece_count_++] = {slot.data + cursor.offset, take};
  ++headers_[message_count_].msg_hdr.msg_iovlen;
  message.bytes += take;
  message.segments += segment == 0 ? 1 : (take + segment - 1) / segment;
  if (segment == 0 || take % segment != 0) message.full = true;
  if (message.segments >= message.max_segments || message.bytes >= UdpPort::kMaxTrainBytes) {
    message.full = true;
  }
  if (take < rest) {
    message.full = true;
    cursor.offset += take;
    return false;
  }
  cursor = {cursor.slot + 1, 0};
  return true;
}

void UdpSender::finish_message(std::size_t index) {
  Message& message = messages_[index];
  message.use_source = may_use_source(*message.slot);
  write_control(index);
}

void UdpSender::write_control(std::size_t index) {
  const Message& message = messages_[index];
  UdpSendHints hints;
  if (message.segments > 1) hints.segment_bytes = static_cast<std::uint16_t>(message.segment_bytes);
  hints.use_source = message.use_source;
  headers_[index].msg_hdr.msg_controllen = emit_control(*message.slot, hints, controls_[index]);
}

void UdpSender::flush(std::span<const Slot> slots, Cursor& cursor, Totals& totals) {
  std::size_t done = 0;
  while (done < message_count_) {
    const int sent = ::sendmmsg(fd_, &headers_[done], static_cast<unsigned>(message_count_ - done),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      for (const std::size_t end = done + static_cast<std::size_t>(sent); done < end; ++done) {
        count_sent(messages_[done], totals);
      }
      continue;
    }
    switch (recover(done, errno)) {
      case Recovery::kRetry:
        break;
      case Recovery::kDrop:
        totals.dropped += messages_[done].segments;
        ++done;
        break;
      case Recovery::kPlanAgain:
        cursor = messages_[done].start;
        return;
      case Recovery::kStop:
        drop_rest(done, slots, cursor, totals);
        return;
    }
  }
}

void UdpSender::count_sent(const Message& message, Totals& totals) {
  totals.datagrams += message.segments;
  totals.bytes += message.bytes;
  // Only now it is certain that the source was at fault, and not the route.
  if (message.source_dropped) {
    source_refusal_ = {message.slot->local, message.slot->remote.address, kSendsUntilProbe};
  }
}

void UdpSender::drop_rest(std::size_t first, std::span<const Slot> slots, Cursor& cursor,
                          Totals& totals) {
  for (std::size_t i = first; i < message_count_; ++i)
    totals.dropped += messages_[i].segments;
  for (; cursor.slot < slots.size(); cursor = {cursor.slot + 1, 0}) {
    Slot rest = slots[cursor.slot];
    rest.length -= cursor.offset;
    totals.dropped += segment_count(rest);
  }
}

UdpSender::Recovery UdpSender::recover(std::size_t index, int error) {
  Message& message = messages_[index];
  if (error == EINTR) return Recovery::kRetry;
  if (error == EAGAIN) return wait_writable() ? Recovery::kRetry : Recovery::kStop;
  // The source first: its refusal looks like that of a segmented send, and without it the send
  // tells which it was.
  if (message.use_source && message.slot->interface != 0 && refuses_source(error)) {
    message.use_source = false;
    message.source_dropped = true;
    write_control(index);
    return Recovery::kRetry;
  }
  if (message.segments > 1 && refuses_segmentation(error)) {
    refusals_.increment();
    remember_refused_segmentation(message.slot->remote.address,
                                  error == EIO ? 0 : message.segment_bytes);
    return Recovery::kPlanAgain;
  }
  if (!message.retried && may_be_stale(error)) {
    message.retried = true;
    return Recovery::kRetry;
  }
  return Recovery::kDrop;
}

bool UdpSender::wait_writable() const {
  pollfd wait{fd_, POLLOUT, 0};
  return ::poll(&wait, 1, kFullQueueWaitMs) > 0;
}

std::uint32_t UdpSender::max_segments_to(const net::IpAddress& remote,
                                         std::uint32_t segment_bytes) {
  if (!segmentation_ || segment_bytes > UINT16_MAX) return 1;
  if (!any_refusal_) return UdpPort::kMaxSegments;
  any_refusal_ = false;
  bool refused = false;
  for (SegmentationRefusal& refusal : segmentation_refusals_) {
    if (refusal.sends_left == 0) continue;
    any_refusal_ = true;
    if (refusal.remote == remote && segment_bytes >= refusal.segment_bytes) {
      refused = --refusal.sends_left > 0;
    }
  }
  return refused ? 1 : UdpPort::kMaxSegments;
}

void UdpSender::remember_refused_segmentation(const net::IpAddress& remote,
                                              std::uint32_t segment_bytes) {
  any_refusal_ = true;
  for (SegmentationRefusal& refusal : segmentation_refusals_) {
    if (refusal.sends_left == 0 || refusal.remote != remote) continue;
    refusal.segment_bytes = std::min(refusal.segment_bytes, segment_bytes);
    refusal.sends_left = kSendsUntilProbe;
    return;
  }
  segmentation_refusals_[next_refusal_] = {remote, segment_bytes, kSendsUntilProbe};
  next_refusal_ = (next_refusal_ + 1) % segmentation_refusals_.size();
}

bool UdpSender::may_use_source(const Slot& slot) {
  if (slot.interface == 0) return false;
  if (source_refusal_.sends_left == 0) return true;
  if (source_refusal_.local != slot.local || source_refusal_.remote != slot.remote.address) {
    return true;
  }
  --source_refusal_.sends_left;
  return source_refusal_.sends_left == 0;
}

}  // namespace ringway::io
