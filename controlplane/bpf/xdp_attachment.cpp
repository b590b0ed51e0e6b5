#include "controlplane/bpf/xdp_attachment.hpp"

#include <cerrno>
#include <utility>

#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace ringway::control {
namespace {

int create_link(int program_fd, unsigned interface_index, unsigned flags) {
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = flags;
  return bpf_link_create(program_fd, static_cast<int>(interface_index), BPF_XDP, &options);
}

// Zeros once the link is no longer on a device.
struct LinkTarget {
  unsigned interface_index = 0;
  unsigned program_id = 0;
  bool operator==(const LinkTarget&) const = default;
};
LinkTarget target_of(int link_fd) {
  bpf_link_info info{};
  unsigned size = sizeof info;
  if (bpf_obj_get_info_by_fd(link_fd, &info, &size) != 0 || info.xdp.ifindex == 0) return {};
  return {info.xdp.ifindex, info.prog_id};
}

std::string program_name(unsigned id) {
  std::string number = "number " + std::to_string(id);
  const int fd = bpf_prog_get_fd_by_id(id);
  if (fd < 0) return number;
  bpf_prog_info info{};
  unsigned size = sizeof info;
  const bool known = bpf_obj_get_info_by_fd(fd, &info, &size) == 0;
  ::close(fd);
  return known ? "'" + std::string(info.name) + "' (" + number + ")" : number;
}

// libxdp could run our program beside another one, by a dispatcher of its own. We do not use that:
// the dispatcher is a file that libxdp reads at run time (xdp-dispatcher.o, of Debian's libxdp1);
// it keeps its programs in bpffs, which need not be mounted and outlives the process that died; and
// it can only join a program that was loaded by libxdp as well. So the operator is told who is
// there. Zero where nobody is.
unsigned present_program(unsigned interface_index) {
  bpf_xdp_query_opts query{};
  query.sz = sizeof query;
  if (bpf_xdp_query(static_cast<int>(interface_index), 0, &query) != 0) return 0;
  if (query.prog_id != 0) return query.prog_id;
  for (const unsigned id : {query.drv_prog_id, query.skb_prog_id, query.hw_prog_id}) {
    if (id != 0) return id;
  }
  return 0;
}

tl::unexpected<Error> attach_failure(const std::string& device, unsigned interface_index,
                                     int error) {
  if (error == EBUSY || error == EEXIST) {
    if (const unsigned id = present_program(interface_index); id != 0) {
      return failure("the XDP program " + program_name(id) + " is already on " + device,
                     "stop the program that put it there, or take it off with 'ip link set dev " +
                         device + " xdp off'");
    }
  }
  std::string remedy;
  if (error == EPERM) remedy = "needs CAP_NET_ADMIN and CAP_BPF";
  return system_failure("putting an XDP program on " + device, error, remedy);
}

// Errors that have nothing to do with what the driver can.
bool final_error(int error) {
  return error == EBUSY || error == EEXIST || error == EPERM || error == ENODEV;
}

}  // namespace

Result<XdpAttachment> XdpAttachment::attach(int program_fd, const std::string& device,
                                            XdpPreference preference) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) return failure("there is no interface '" + device + "'");
  std::string reason = "native mode is switched off";
  int error = EOPNOTSUPP;
  if (preference.allow_native) {
    const int fd = create_link(program_fd, index, XDP_FLAGS_DRV_MODE);
    if (fd >= 0) return XdpAttachment(fd, device, XdpMode::kNative, {});
    error = -fd;
    if (final_error(error)) return attach_failure(device, index, error);
    reason = system_failure("native mode", error).value().message;
  }
  if (!preference.allow_generic) return attach_failure(device, index, error);
  const int fd = create_link(program_fd, index, XDP_FLAGS_SKB_MODE);
  if (fd < 0) return attach_failure(device, index, -fd);
  return XdpAttachment(fd, device, XdpMode::kGeneric, reason);
}

XdpAttachment::XdpAttachment(int link_fd, std::string device, XdpMode mode, std::string reason)
    : link_fd_(link_fd), device_(std::move(device)), mode_(mode), reason_(std::move(reason)) {
  const LinkTarget target = target_of(link_fd);
  interface_index_ = target.interface_index;
  program_id_ = target.program_id;
}

XdpAttachment::XdpAttachment(XdpAttachment&& other) noexcept
    : link_fd_(std::exchange(other.link_fd_, -1)),
      interface_index_(other.interface_index_),
      program_id_(other.program_id_),
      device_(std::move(other.device_)),
      mode_(other.mode_),
      reason_(std::move(other.reason_)) {}

XdpAttachment& XdpAttachment::operator=(XdpAttachment&& other) noexcept {
  std::swap(link_fd_, other.link_fd_);
  std::swap(interface_index_, other.interface_index_);
  std::swap(program_id_, other.program_id_);
  std::swap(device_, other.device_);
  std::swap(mode_, other.mode_);
  std::swap(reason_, other.reason_);
  return *this;
}

bool XdpAttachment::in_place() const {
  const LinkTarget target = target_of(link_fd_);
  return target.interface_index != 0 && target == LinkTarget{interface_index_, program_id_};
}

XdpAttachment::~XdpAttachment() {
  if (link_fd_ >= 0) ::close(link_fd_);
}

}  // namespace ringway::control
