// What the control plane's coroutines share: every operation returns its error_code, none throws.
// Only .cpp files include this.
#pragma once

#include <chrono>
#include <exception>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace ringway::control {

// auto [error, value] = co_await socket.async_accept(kAwait);
inline constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable);

// For co_spawn: an exception that no coroutine caught is a bug, and ends the program instead of
// vanishing with the coroutine.
inline void end_on_exception(const std::exception_ptr& exception) {
  if (exception) std::rethrow_exception(exception);
}

// accept() fails again at once when descriptors have run out: wait instead of spinning.
inline boost::asio::awaitable<void> pause_after_failed_accept() {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                  std::chrono::milliseconds(100));
  co_await timer.async_wait(kAwait);
}

}  // namespace ringway::control
