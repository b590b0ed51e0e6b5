#include "overlay/output_queue.hpp"

#include "overlay/spare_room.hpp"

namespace ringway::overlay {
namespace {

template <typename T>
void empty(std::vector<T>& list) {
  list.clear();
  give_back_if_empty(list);
}

}  // namespace

bool OutputQueue::poll(Output& out) {
  if (next_ == items_.size()) {
    if (next_ != 0) reset();
    return false;
  }
  const Item& item = items_[next_++];
  switch (item.kind) {
    case Kind::kSend:
      out = output::Send{LinkId{item.value}, {bytes_.data() + next_byte_, item.size}};
      next_byte_ += item.size;
      break;
    case Kind::kOpen:
      out = opens_[item.value];
      break;
    case Kind::kClose:
      out = output::Close{LinkId{item.value}};
      break;
    case Kind::kEvent:
      out = std::move(events_[item.value]);
      break;
    case Kind::kRelaying:
      out = relayings_[item.value];
      break;
  }
  return true;
}

void OutputQueue::reset() {
  empty(items_);
  empty(bytes_);
  empty(opens_);
  empty(events_);
  empty(relayings_);
  next_ = 0;
  next_byte_ = 0;
}

}  // namespace ringway::overlay
