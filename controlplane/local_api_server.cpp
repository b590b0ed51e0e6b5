// The server side of the local API: the socket in the file system, and one coroutine a client.
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "controlplane/asio_await.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/logging.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using boost::system::error_code;

constexpr int kBacklog = 16;
constexpr mode_t kSocketMode = 0660;

ApiCaller caller_of(Protocol::socket& socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return {};
  }
  return {credentials.pid, credentials.uid};
}

Result<void> make_directory_of(const std::string& socket) {
  const auto directory = std::filesystem::path(socket).parent_path();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return failure("making directory " + directory.string() + ": " + error.message(),
                   "run as root, or set api.socket to a path that you may write");
  }
  return {};
}

// Removes what a dead node left; refuses when somebody lives there, or it is no socket at all.
Result<void> remove_stale(const std::string& socket) {
  struct stat info {};
  if (::lstat(socket.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return failure(socket + " is there and is not a socket");
  if (is_api_alive(socket)) {
    return failure("another ringwayd answers at " + socket, "stop it with: ringway down");
  }
  if (::unlink(socket.c_str()) != 0) return system_failure("removing stale " + socket, errno);
  return {};
}

// Gives the socket to the group and opens it to its members.
Result<void> share_with_group(const std::string& socket, const std::string& group) {
  if (!group.empty()) {
    const struct group* entry = ::getgrnam(group.c_str());
    if (entry == nullptr) return failure("api.group: there is no group '" + group + "'");
    if (::chown(socket.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
      return system_failure("giving " + socket + " to group " + group, errno);
    }
  }
  if (::chmod(socket.c_str(), kSocketMode) != 0) {
    return system_failure("setting the mode of " + socket, errno);
  }
  return {};
}

// Only the owner may connect until share_with_group() has decided who else may.
Result<void> bind_private(Protocol::acceptor& acceptor, const std::string& socket) {
  error_code error;
  acceptor.open(Protocol(), error);
  const mode_t before = ::umask(0177);
  if (!error) acceptor.bind(Protocol::endpoint(socket), error);
  ::umask(before);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) return failure("listening on " + socket + ": " + error.message());
  return {};
}

}  // namespace

struct LocalApiServer::State {
  State(asio::io_context& io, LocalApiServer::Options given, NodeControl& control)
      : options(std::move(given)), node(&control), acceptor(io) {}

  struct Client {
    explicit Client(Protocol::socket from)
        : socket(std::move(from)), deadline(socket.get_executor()), caller(caller_of(socket)) {}
    Protocol::socket socket;
    asio::steady_timer deadline;
    ApiCaller caller;
  };

  LocalApiServer::Options options;
  NodeControl* node;  // nullptr once the server is gone
  Protocol::acceptor acceptor;
  std::set<std::shared_ptr<Client>> clients;
  ino_t inode = 0;  // of the socket's file: another one is not ours to remove

  void stop();
  static asio::awaitable<void> accept(std::shared_ptr<State> self);
  static asio::awaitable<void> serve(std::shared_ptr<State> self, std::shared_ptr<Client> client);
  static void set_deadline(const std::shared_ptr<Client>& client, std::chrono::milliseconds after);
};

// Whatever the client's socket is waiting for fails when the time is over.
void LocalApiServer::State::set_deadline(const std::shared_ptr<Client>& client,
                                         std::chrono::milliseconds after) {
  client->deadline.expires_after(after);
  client->deadline.async_wait([weak = std::weak_ptr<Client>(client)](error_code error) {
    const auto expired = weak.lock();
    // A wait that ended before its timer was moved on may still be on its way here.
    if (error || !expired || expired->deadline.expiry() > asio::steady_timer::clock_type::now()) {
      return;
    }
    error_code ignored;
    expired->socket.close(ignored);
  });
}

asio::awaitable<void> LocalApiServer::State::serve(std::shared_ptr<State> self,
                                                   std::shared_ptr<Client> client) {
  std::string input;
  for (;;) {
    set_deadline(client, self->options.idle_timeout);
    const auto [read_error, line_bytes] = co_await asio::async_read_until(
        client->socket, asio::dynamic_buffer(input, kMaxApiRequestBytes), '\n', kAwait);
    const bool too_long = read_error == asio::error::not_found;
    if ((read_error && !too_long) || self->node == nullptr) break;
    ApiResponse response =
        too_long
            ? refuse_long_request()
            : handle_api_request(*self->node, std::string_view(input).substr(0, line_bytes - 1),
                                 client->caller);
    input.erase(0, line_bytes);
    response.line += '\n';
    set_deadline(client, self->options.write_timeout);
    const auto [write_error, written_bytes] =
        co_await asio::async_write(client->socket, asio::buffer(response.line), kAwait);
    if (response.stop && self->node != nullptr) self->node->request_stop(*response.stop);
    if (write_error || too_long || self->node == nullptr) break;
  }
  secure_wipe(input.data(), input.size());  // may hold a preshared key
  self->clients.erase(client);
}

asio::awaitable<void> LocalApiServer::State::accept(std::shared_ptr<State> self) {
  while (self->node != nullptr) {
    auto [error, socket] = co_await self->acceptor.async_accept(kAwait);
    if (self->node == nullptr) co_return;
    if (error) {
      co_await pause_after_failed_accept();
    } else if (self->clients.size() < self->options.max_clients) {
      auto client = std::make_shared<Client>(std::move(socket));
      self->clients.insert(client);
      asio::co_spawn(self->acceptor.get_executor(), serve(self, client), end_on_exception);
    }
  }
}

void LocalApiServer::State::stop() {
  node = nullptr;
  error_code ignored;
  acceptor.close(ignored);
  for (const auto& client : clients) {
    client->socket.close(ignored);
    client->deadline.cancel();
  }
  struct stat info {};
  if (::lstat(options.socket.c_str(), &info) == 0 && info.st_ino == inode) {
    ::unlink(options.socket.c_str());
  }
}

LocalApiServer::LocalApiServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

LocalApiServer::~LocalApiServer() {
  state_->stop();
}

Result<std::unique_ptr<LocalApiServer>> LocalApiServer::start(asio::io_context& io, Options options,
                                                              NodeControl& node) {
  const std::string socket = options.socket;
  if (auto made = make_directory_of(socket); !made) return tl::unexpected(made.error());
  if (auto removed = remove_stale(socket); !removed) return tl::unexpected(removed.error());
  auto state = std::make_shared<State>(io, std::move(options), node);
  if (auto bound = bind_private(state->acceptor, socket); !bound) {
    return tl::unexpected(bound.error());
  }
  std::unique_ptr<LocalApiServer> server(new LocalApiServer(state));
  struct stat info {};
  if (::lstat(socket.c_str(), &info) != 0) return system_failure("reading " + socket, errno);
  state->inode = info.st_ino;
  if (auto shared = share_with_group(socket, state->options.group); !shared) {
    return tl::unexpected(shared.error());
  }
  asio::co_spawn(io, State::accept(state), end_on_exception);
  return server;
}

}  // namespace ringway::control
