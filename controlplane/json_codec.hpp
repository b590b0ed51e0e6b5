// Structs as JSON objects, both ways from one description. For a struct there is a function
//
//   template <typename Visit>
//   void visit_fields(Visit& visit, Peer& peer) { visit("name", peer.name); ... }
//
// in the struct's namespace; encode() writes every field and decode() reads those that are there.
// Values that have a text form are strings. Only .cpp files include this: it brings all of
// nlohmann-json along.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.hpp"
#include "controlplane/config.hpp"
#include "controlplane/keys.hpp"
#include "controlplane/node_status.hpp"

namespace ringway::control::json_codec {

// --- values with a text form ---

inline std::string to_text(const tunnel::PublicKey& key) {
  return key_to_text(key);
}
inline std::string to_text(const tunnel::PresharedKey& key) {
  return key_to_text(key.span());
}
inline std::string to_text(const net::Prefix& prefix) {
  return prefix.to_string();
}
inline std::string to_text(const net::Endpoint& endpoint) {
  return endpoint.to_string();
}
inline std::string to_text(const PeerEndpoint& endpoint) {
  return endpoint.to_string();
}
inline std::string to_text(const InterfaceAddress& address) {
  return address.to_string();
}
inline std::string to_text(PeerType type) {
  return std::string(peer_type_name(type));
}
inline std::string to_text(tunnel::Suite suite) {
  return std::string(tunnel::suite_name(suite));
}
inline std::string to_text(NodeState state) {
  return std::string(node_state_name(state));
}
inline std::string to_text(SessionState state) {
  return std::string(session_state_name(state));
}
inline std::string to_text(FullTunnelState state) {
  return std::string(full_tunnel_state_name(state));
}

template <typename Value>
bool take(Result<Value> parsed, Value& out) {
  if (!parsed) return false;
  out = std::move(*parsed);
  return true;
}
// The one of the first `count` values of an enumeration with this name.
template <typename Enum>
bool by_name(const std::string& text, unsigned count, Enum& out) {
  for (unsigned i = 0; i < count; ++i) {
    if (to_text(static_cast<Enum>(i)) != text) continue;
    out = static_cast<Enum>(i);
    return true;
  }
  return false;
}

inline bool from_text(const std::string& text, tunnel::PublicKey& out) {
  return take(parse_public_key(text), out);
}
inline bool from_text(const std::string& text, tunnel::PresharedKey& out) {
  return take(parse_preshared_key(text), out);
}
inline bool from_text(const std::string& text, net::Prefix& out) {
  return take(net::Prefix::parse(text), out);
}
inline bool from_text(const std::string& text, net::Endpoint& out) {
  return take(net::Endpoint::parse(text), out);
}
inline bool from_text(const std::string& text, PeerEndpoint& out) {
  return take(PeerEndpoint::parse(text), out);
}
inline bool from_text(const std::string& text, InterfaceAddress& out) {
  return take(InterfaceAddress::parse(text), out);
}
inline bool from_text(const std::string& text, PeerType& out) {
  return by_name(text, 2, out);
}
inline bool from_text(const std::string& text, tunnel::Suite& out) {
  return by_name(text, 2, out);
}
inline bool from_text(const std::string& text, NodeState& out) {
  return by_name(text, 3, out);
}
inline bool from_text(const std::string& text, SessionState& out) {
  return by_name(text, 4, out);
}
inline bool from_text(const std::string& text, FullTunnelState& out) {
  return by_name(text, 4, out);
}

template <typename T>
concept TextValue = requires(const T& value, T& out, const std::string& text) {
  { to_text(value) } -> std::same_as<std::string>;
  { from_text(text, out) } -> std::same_as<bool>;
};

struct AnyVisitor {
  template <typename Value>
  void operator()(const char*, Value&) {}
};
template <typename T>
concept FieldStruct = requires(AnyVisitor& visit, T& value) {
  visit_fields(visit, value);
};

// --- writing ---

template <typename T>
Json encode(const T& value);

struct EncodeFields {
  Json& object;
  template <typename Value>
  void operator()(const char* name, const Value& value) {
    object[name] = encode(value);
  }
};

template <typename T>
Json encode_one(const std::optional<T>& value) {
  return value ? encode(*value) : Json(nullptr);
}
template <typename T>
Json encode_one(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values)
    list.push_back(encode(value));
  return list;
}
inline Json encode_one(const std::vector<LabelledCount>& counts) {
  Json object = Json::object();
  for (const LabelledCount& count : counts)
    object[count.label] = count.count;
  return object;
}
template <typename T>
Json encode_one(const T& value) {
  if constexpr (TextValue<T>) {
    return to_text(value);
  } else if constexpr (FieldStruct<T>) {
    Json object = Json::object();
    EncodeFields visit{object};
    T copy = value;  // fields are visited by reference, for reading them in as well
    visit_fields(visit, copy);
    return object;
  } else {
    static_assert(std::is_arithmetic_v<T> || std::same_as<T, std::string>);
    return value;
  }
}

template <typename T>
Json encode(const T& value) {
  return encode_one(value);
}

// --- reading: false on a value of the wrong kind, and `where` names it ---

template <typename T>
bool decode(const Json& json, T& out, std::string& where);

struct DecodeFields {
  const Json& object;
  std::string& where;
  bool ok = true;
  template <typename Value>
  void operator()(const char* name, Value& value) {
    const auto found = object.find(name);
    if (!ok || found == object.end()) return;
    ok = decode(*found, value, where);
    if (!ok) where = where.empty() ? std::string(name) : std::string(name) + "." + where;
  }
};

template <typename T>
bool decode_one(const Json& json, std::optional<T>& out, std::string& where) {
  out.reset();
  if (json.is_null()) return true;
  T value{};
  if (!decode(json, value, where)) return false;
  out = std::move(value);
  return true;
}
template <typename T>
bool decode_one(const Json& json, std::vector<T>& out, std::string& where) {
  if (!json.is_array()) return false;
  out.clear();
  for (const Json& element : json) {
    T value{};
    if (!decode(element, value, where)) return false;
    out.push_back(std::move(value));
  }
  return true;
}
inline bool decode_one(const Json& json, std::vector<LabelledCount>& out, std::string&) {
  if (!json.is_object()) return false;
  out.clear();
  for (const auto& [label, count] : json.items()) {
    if (!count.is_number_unsigned()) return false;
    out.push_back({label, count.get<std::uint64_t>()});
  }
  return true;
}
template <std::integral T>
bool decode_integer(const Json& json, T& out) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (!std::in_range<T>(value)) return false;
    out = static_cast<T>(value);
    return true;
  }
  if (!json.is_number_integer()) return false;
  const auto value = json.get<std::int64_t>();
  if (!std::in_range<T>(value)) return false;
  out = static_cast<T>(value);
  return true;
}
template <typename T>
bool decode_one(const Json& json, T& out, std::string& where) {
  if constexpr (TextValue<T>) {
    return json.is_string() && from_text(json.get_ref<const std::string&>(), out);
  } else if constexpr (std::same_as<T, std::string>) {
    if (!json.is_string()) return false;
    out = json.get_ref<const std::string&>();
    return true;
  } else if constexpr (std::same_as<T, bool>) {
    if (!json.is_boolean()) return false;
    out = json.get<bool>();
    return true;
  } else if constexpr (std::floating_point<T>) {
    if (!json.is_number()) return false;
    out = json.get<T>();
    return true;
  } else if constexpr (FieldStruct<T>) {
    if (!json.is_object()) return false;
    DecodeFields visit{json, where};
    visit_fields(visit, out);
    return visit.ok;
  } else {
    return decode_integer(json, out);
  }
}

template <typename T>
bool decode(const Json& json, T& out, std::string& where) {
  return decode_one(json, out, where);
}

// `about` names the object in the error.
template <typename T>
Result<T> decode_or_error(const Json& json, const std::string& about) {
  T value{};
  std::string where;
  if (decode(json, value, where)) return value;
  return failure(about + (where.empty() ? " is not of the expected kind"
                                        : ": '" + where + "' is not of the expected kind"));
}

// One line of JSON. Bytes that are no UTF-8 are replaced, never thrown about.
inline std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ringway::control::json_codec
