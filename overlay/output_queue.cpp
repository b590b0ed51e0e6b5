#include "overlay/output_queue.hpp"

namespace ringway::overlay {
namespace {

// A burst, such as the first seconds of a ring, should not hold its memory for good.
constexpr std::size_t kKeptBytes = 1024;

template <typename T>
void empty(std::vector<T>& list) {
  if (list.capacity() * sizeof(T) > kKeptBytes) {
    std::vector<T>().swap(list);
  } else {
    list.clear();
  }
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
  }
  return true;
}

void OutputQueue::reset() {
  empty(items_);
  empty(bytes_);
  empty(opens_);
  empty(events_);
  next_ = 0;
  next_byte_ = 0;
}

}  // namespace ringway::overlay
