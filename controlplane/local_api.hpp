// The local API: how `ringway` talks to a running node. A UNIX stream socket carries one JSON
// object a line, a response for each request, in order:
//
//   {"v":1,"op":"status"}                      -> {"v":1,"ok":true,"result":{...}}
//   {"v":1,"op":"remove_peer","name":"phone"}  -> {"v":1,"ok":false,"error":{"message":"...",
//                                                  "remedy":"..."}}
//
// Operations: version, status, metrics (text), mappings (a piece at a time), reload, add_peer,
// change_peer, remove_peer, stop.
// Who may open the socket (mode 0660, root and one group) may do all of them. The server lives on
// the control thread; everything is bounded: clients, request size, time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "controlplane/config.hpp"
#include "controlplane/node_status.hpp"

namespace boost::asio {
class io_context;
}

namespace ringway::control {

inline constexpr int kApiVersion = 1;
inline constexpr std::size_t kMaxApiRequestBytes = 1U << 20;    // a peer with very many prefixes
inline constexpr std::size_t kMaxApiResponseBytes = 64U << 20;  // status with very many peers

// What a reload did.
struct ReloadReport {
  std::vector<std::string> added;          // names of peers
  std::vector<std::string> changed;        // likewise
  std::vector<std::string> removed;        // likewise
  std::vector<std::string> needs_restart;  // as in ConfigDiff
  bool operator==(const ReloadReport&) const = default;
};

// Which mappings of the gateway's NAT are asked for; what is unset is any.
struct MappingQuery {
  std::uint32_t cursor = 0;  // where to go on; 0 at first
  std::optional<std::string> subscriber;
  std::optional<std::string> protocol;         // "tcp", "udp", "icmp", "icmpv6"
  std::optional<net::Endpoint> external = {};  // exactly this one
};

// Names as in JSON.
struct MappingStatus {
  std::string subscriber;
  std::string protocol;
  net::Endpoint inner;  // of icmp and icmpv6 the port is the query's identifier
  net::Endpoint external;
  double idle_s = 0;
  std::optional<double> expires_s;  // unset: never, a forward
  bool operator==(const MappingStatus&) const = default;
};

[[nodiscard]] Json mappings_to_json(const std::vector<MappingStatus>& mappings);

struct MappingList {
  std::vector<MappingStatus> mappings;
  std::uint32_t next = 0;  // the cursor of the next piece; 0: there is none
  bool operator==(const MappingList&) const = default;
};

enum class StopKind : std::uint8_t {
  kTakeBack,    // everything on the host as it was before
  kForRestart,  // a start follows: the host stays guarded (HostSetup::leave_guarded)
};

struct StopRequest {
  bool for_restart = false;
};

// What the API needs of a node. Called on the server's io_context only, one call at a time.
class NodeControl {
 public:
  virtual ~NodeControl() = default;
  [[nodiscard]] virtual NodeStatus status() = 0;
  // A piece of them, which may be empty although there is a next one.
  [[nodiscard]] virtual Result<MappingList> mappings(const MappingQuery& query) = 0;
  // The configuration in force, with all peers as they are now.
  [[nodiscard]] virtual const Config& config() const = 0;
  [[nodiscard]] virtual Result<ReloadReport> reload() = 0;
  // Adds the peer, or changes the one with its name. Checked already by apply_peer_edit().
  [[nodiscard]] virtual Result<void> set_peer(const PeerConfig& peer) = 0;
  // `name` is a peer of config().
  [[nodiscard]] virtual Result<void> remove_peer(const std::string& name) = 0;
  // Must return at once. The response to who asked for it has been sent already.
  virtual void request_stop(StopKind kind) = 0;
};

// The process at the other end.
struct ApiCaller {
  std::int64_t pid = 0;
  std::uint32_t uid = 0;
};

struct ApiResponse {
  std::string line;              // without the line end
  std::optional<StopKind> stop;  // once the line is sent, the node is to be stopped
};

// One request line, without its line end, to one response; what the server does for each request.
// Never fails: what is wrong with a request is said in the response.
[[nodiscard]] ApiResponse handle_api_request(NodeControl& node, std::string_view request,
                                             const ApiCaller& caller);

// The response to a request of more than kMaxApiRequestBytes, after which the connection ends.
[[nodiscard]] ApiResponse refuse_long_request();

class LocalApiServer {
 public:
  struct Options {
    std::string socket;
    std::string group;  // empty: root's
    std::size_t max_clients = 32;
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(60);   // for the next request
    std::chrono::milliseconds write_timeout = std::chrono::seconds(10);  // for a response
  };

  // Makes the socket, and the directory it stands in. A socket that nobody answers is replaced; one
  // that a live node answers is an error. `node` and `io` must outlive the server.
  [[nodiscard]] static Result<std::unique_ptr<LocalApiServer>> start(boost::asio::io_context& io,
                                                                     Options options,
                                                                     NodeControl& node);
  // Ends all connections and removes the socket. `node` is not called afterwards.
  ~LocalApiServer();
  LocalApiServer(const LocalApiServer&) = delete;
  LocalApiServer& operator=(const LocalApiServer&) = delete;

 private:
  struct State;
  explicit LocalApiServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// The blocking client of the command line.
class LocalApiClient {
 public:
  // `interface` is for messages: "ringwayd is not running for interface ringway0".
  [[nodiscard]] static Result<LocalApiClient> connect(const std::string& socket,
                                                      const std::string& interface);
  ~LocalApiClient();
  LocalApiClient(LocalApiClient&& other) noexcept;
  LocalApiClient& operator=(LocalApiClient&& other) noexcept;

  [[nodiscard]] Result<NodeStatus> status();
  [[nodiscard]] Result<std::string> version();  // of the running ringwayd
  [[nodiscard]] Result<std::string> metrics();  // Prometheus text
  // All pieces together, whatever the query's cursor.
  [[nodiscard]] Result<std::vector<MappingStatus>> mappings(MappingQuery query);
  [[nodiscard]] Result<ReloadReport> reload();
  [[nodiscard]] Result<void> add_peer(const PeerEdit& edit);     // must be new
  [[nodiscard]] Result<void> change_peer(const PeerEdit& edit);  // must be there
  [[nodiscard]] Result<void> remove_peer(const std::string& name);
  [[nodiscard]] Result<void> stop(StopKind kind = StopKind::kTakeBack);

  // The process that made the socket.
  [[nodiscard]] std::int64_t server_pid() const;

 private:
  explicit LocalApiClient(int fd) : fd_(fd) {}
  [[nodiscard]] Result<Json> call(Json request);
  [[nodiscard]] Result<std::string> exchange(std::string line) const;

  int fd_ = -1;
};

// True when a process accepts connections at `socket`.
[[nodiscard]] bool is_api_alive(const std::string& socket);

}  // namespace ringway::control
