// The client side of the local API, blocking, for programs that do one thing and end.
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "controlplane/json_codec.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/local_api_fields.hpp"

namespace ringway::control {
namespace {

constexpr timeval kCallTimeout = {30, 0};  // for each read and write; a reload resolves names

// A connected socket, or -1 with errno.
int connect_to(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, socket.data(), socket.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

std::string permission_remedy(const std::string& socket) {
  struct stat info {};
  const struct group* owner =
      ::stat(socket.c_str(), &info) == 0 ? ::getgrgid(info.st_gid) : nullptr;
  if (owner == nullptr || info.st_gid == 0) return "run as root: sudo ringway ...";
  return "run as root, or join group '" + std::string(owner->gr_name) + "'";
}

tl::unexpected<Error> connect_failure(const std::string& socket, const std::string& interface,
                                      int error) {
  if (error == ENOENT || error == ECONNREFUSED) {
    return failure("ringwayd is not running for interface " + interface,
                   "start it with: ringway up " + interface);
  }
  if (error == EACCES || error == EPERM) {
    return failure("no permission to talk to ringwayd at " + socket, permission_remedy(socket));
  }
  return system_failure("connecting to ringwayd at " + socket, error);
}

tl::unexpected<Error> broken_off(int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) {
    return failure("ringwayd did not answer in time", "see its log");
  }
  if (error == 0) return failure("ringwayd closed the connection", "see its log");
  return system_failure("talking to ringwayd", error);
}

}  // namespace

bool is_api_alive(const std::string& socket) {
  const int fd = connect_to(socket);
  if (fd >= 0) ::close(fd);
  // Only a refusal proves that nobody listens; a full backlog or missing permission does not.
  return fd >= 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

Result<LocalApiClient> LocalApiClient::connect(const std::string& socket,
                                               const std::string& interface) {
  const int fd = connect_to(socket);
  if (fd < 0) return connect_failure(socket, interface, errno);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kCallTimeout, sizeof kCallTimeout);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kCallTimeout, sizeof kCallTimeout);
  return LocalApiClient(fd);
}

LocalApiClient::~LocalApiClient() {
  if (fd_ >= 0) ::close(fd_);
}
LocalApiClient::LocalApiClient(LocalApiClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}
LocalApiClient& LocalApiClient::operator=(LocalApiClient&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Result<std::string> LocalApiClient::exchange(std::string line) const {
  line += '\n';
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t put = ::send(fd_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return broken_off(errno);
    sent += static_cast<std::size_t>(put);
  }
  std::string response;
  std::array<char, 65536> chunk{};
  while (response.size() <= kMaxApiResponseBytes) {
    const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return broken_off(got == 0 ? 0 : errno);
    response.append(chunk.data(), static_cast<std::size_t>(got));
    if (response.back() != '\n') continue;
    response.pop_back();
    return response;
  }
  return failure("ringwayd sent too long an answer");
}

Result<Json> LocalApiClient::call(Json request) {
  request["v"] = kApiVersion;
  auto line = exchange(json_codec::dump(request));
  if (!line) return tl::unexpected(line.error());
  Json response = Json::parse(*line, nullptr, /*allow_exceptions=*/false);
  if (!response.is_object()) return failure("ringwayd sent something that is not an answer");
  if (response.value("ok", Json()) == true) return response.value("result", Json());
  const Json error = response.value("error", Json::object());
  const auto text = [&](const char* name) {
    const auto found = error.find(name);
    return found != error.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return failure(text("message"), text("remedy"));
}

namespace {

Json request_for(const char* op) {
  Json request = Json::object();
  request["op"] = op;
  return request;
}

Result<void> without_value(const Result<Json>& result) {
  if (!result) return tl::unexpected(result.error());
  return {};
}

Json edit_request(const char* op, const PeerEdit& edit) {
  Json request = json_codec::encode(edit);
  request["op"] = op;
  return request;
}

}  // namespace

Result<NodeStatus> LocalApiClient::status() {
  return call(request_for("status")).and_then([](const Json& json) {
    return status_from_json(json);
  });
}

Result<std::string> LocalApiClient::version() {
  return call(request_for("version")).map([](const Json& json) {
    const auto found = json.find("version");
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  });
}

Result<std::string> LocalApiClient::metrics() {
  return call(request_for("metrics")).map([](const Json& json) {
    return json.is_string() ? json.get<std::string>() : std::string();
  });
}

Json mappings_to_json(const std::vector<MappingStatus>& mappings) {
  return json_codec::encode(mappings);
}

Result<std::vector<MappingStatus>> LocalApiClient::mappings(MappingQuery query) {
  std::vector<MappingStatus> all;
  query.cursor = 0;
  do {
    Json request = json_codec::encode(query);
    request["op"] = "mappings";
    auto piece = call(std::move(request)).and_then([](const Json& json) {
      return json_codec::decode_or_error<MappingList>(json, "mappings");
    });
    if (!piece) return tl::unexpected(piece.error());
    all.insert(all.end(), std::make_move_iterator(piece->mappings.begin()),
               std::make_move_iterator(piece->mappings.end()));
    query.cursor = piece->next;
  } while (query.cursor != 0);
  return all;
}

Result<ReloadReport> LocalApiClient::reload() {
  return call(request_for("reload")).and_then([](const Json& json) {
    return json_codec::decode_or_error<ReloadReport>(json, "reload");
  });
}

Result<void> LocalApiClient::add_peer(const PeerEdit& edit) {
  return without_value(call(edit_request("add_peer", edit)));
}

Result<void> LocalApiClient::change_peer(const PeerEdit& edit) {
  return without_value(call(edit_request("change_peer", edit)));
}

Result<void> LocalApiClient::remove_peer(const std::string& name) {
  Json request = request_for("remove_peer");
  request["name"] = name;
  return without_value(call(std::move(request)));
}

Result<void> LocalApiClient::stop(StopKind kind) {
  Json request = request_for("stop");
  request["for_restart"] = kind == StopKind::kForRestart;
  return without_value(call(std::move(request)));
}

std::int64_t LocalApiClient::server_pid() const {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return 0;
  return credentials.pid;
}

}  // namespace ringway::control
