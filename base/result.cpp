#include "base/result.hpp"

#include <system_error>

namespace ringway {

tl::unexpected<Error> system_failure(std::string_view what, int error_number, std::string remedy) {
  std::string message(what);
  message += ": ";
  message += std::generic_category().message(error_number);
  return failure(std::move(message), std::move(remedy));
}

}  // namespace ringway
