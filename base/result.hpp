// How an operation that can fail says so: Result<T> carries the value or an Error whose text names
// what failed, on what, and what to do about it. Packets are not operations: a bad packet is a
// verdict and a counter (see dataplane/drop_reasons.hpp).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace ringway {

struct Error {
  std::string message;  // one line, for a person: what failed, on what
  std::string remedy;   // one line, or empty: what to do about it

  [[nodiscard]] std::string text() const {
    return remedy.empty() ? message : message + " (" + remedy + ")";
  }
};

template <typename T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> failure(std::string message, std::string remedy = {}) {
  return tl::unexpected<Error>(Error{std::move(message), std::move(remedy)});
}

// A failure with the text of an errno value appended: "opening /dev/net/tun: No such file or
// directory".
[[nodiscard]] tl::unexpected<Error> system_failure(std::string_view what, int error_number,
                                                   std::string remedy = {});

}  // namespace ringway
