#include "overlay/dht/reading.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "overlay/dht/admission.hpp"

namespace ringway::overlay::dht {

auto Memory::find(const Key& key, const NodeId& owner) const {
  return std::find_if(seen_.begin(), seen_.end(), [&](const Seen& seen) {
    return seen.key == key.from_zero().high && seen.owner == owner.from_zero().high;
  });
}

bool Memory::is_rolled_back(const Key& key, const NodeId& owner, std::uint64_t sequence,
                            WallTime now) const {
  const auto seen = find(key, owner);
  return seen != seen_.end() && seen->sequence > sequence && seen->not_after > now;
}

std::uint64_t Memory::last(const Key& key, const NodeId& owner) const {
  const auto seen = find(key, owner);
  return seen == seen_.end() ? 0 : seen->sequence;
}

bool Memory::remember(const Key& key, const NodeId& owner, std::uint64_t sequence,
                      WallTime not_after) {
  const auto same = find(key, owner);
  if (same != seen_.end()) {
    if (same->sequence >= sequence) return false;
    seen_.erase(same);
  } else if (seen_.size() >= parameters_.remembered_values) {
    seen_.erase(seen_.begin());
  }
  seen_.push_back({key.from_zero().high, owner.from_zero().high, sequence, not_after});
  return true;
}

Reading::Taken Reading::take(Core& core, const Key& key, const Record& record, const NodeId& from,
                             std::size_t most) {
  const auto value = parse_value(record.value);
  if (!value ||
      key_of(core.verifier, core.identity.group, value->kind, value->owner, value->name) != key) {
    core.drops.add(Drop::kValueForged);
    return Taken::kRefused;
  }
  const auto same = std::find_if(versions_.begin(), versions_.end(), [&](const Version& version) {
    return std::equal(version.value.begin(), version.value.end(), record.value.begin(),
                      record.value.end());
  });
  const bool known = same != versions_.end();
  if (known && same->authentic) return Taken::kAuthentic;
  if (!known) {
    if (versions_.size() >= most) return Taken::kRefused;
    versions_.push_back({value->owner,
                         value->sequence,
                         value->id(),
                         value->not_after,
                         value->removed,
                         false,
                         from,
                         {record.value.begin(), record.value.end()},
                         {}});
  }
  Version& version = known ? *same : versions_.back();
  ConstBytes credential = record.credential;
  if (version.owner == core.self()) credential = core.signer.credential();
  for (const Version& other : versions_)
    if (credential.empty() && other.owner == version.owner && other.authentic)
      credential = other.credential;
  if (credential.empty()) return Taken::kNeedsCredential;
  check(core, version, credential);
  return version.authentic ? Taken::kAuthentic : Taken::kRefused;
}

void Reading::check(Core& core, Version& version, ConstBytes credential) {
  const auto value = parse_value(version.value);
  CHECK(value);
  if (const auto reason = authentic_refusal(core, *value, credential)) {
    core.drops.add(*reason);
    return;
  }
  version.authentic = true;
  version.credential.assign(credential.begin(), credential.end());
}

void Reading::take_credential(Core& core, const NodeId& owner, ConstBytes credential) {
  for (Version& version : versions_)
    if (version.owner == owner && !version.authentic) check(core, version, credential);
}

std::vector<const Reading::Version*> Reading::latest() const {
  std::vector<const Version*> result;
  for (const Version& version : versions_) {
    if (!version.authentic) continue;
    const auto same = std::find_if(result.begin(), result.end(), [&](const Version* other) {
      return other->owner == version.owner;
    });
    if (same == result.end()) {
      result.push_back(&version);
    } else if ((*same)->sequence < version.sequence) {
      *same = &version;
    }
  }
  return result;
}

const Reading::Version* Reading::holder(const NodeId& self) const {
  for (const Version* const version : latest())
    if (version->owner != self && !version->removed) return version;
  return nullptr;
}

Found found(const Reading::Version& version) {
  const auto value = parse_value(version.value);
  CHECK(value);
  return {value->kind,
          value->owner,
          value->sequence,
          value->not_after,
          {value->name.begin(), value->name.end()},
          {value->payload.begin(), value->payload.end()}};
}

}  // namespace ringway::overlay::dht
