// An XDP program on a network device, by a bpf_link: the kernel takes the program off when the
// link's last descriptor closes, so nothing is left behind by a process that died. Works without
// bpffs, since nothing is pinned.
#pragma once

#include <string>

#include "base/result.hpp"

namespace ringway::control {

enum class XdpMode {
  kNative,   // in the driver, before the kernel has made a packet of the frame
  kGeneric,  // in the kernel's stack, on any device, slower
};

struct XdpPreference {
  bool allow_native = true;
  bool allow_generic = true;
};

class XdpAttachment {
 public:
  // Native where the driver can, generic otherwise. Beside a program of somebody else's: an error
  // that names it.
  [[nodiscard]] static Result<XdpAttachment> attach(int program_fd, const std::string& device,
                                                    XdpPreference preference = {});
  XdpAttachment(XdpAttachment&& other) noexcept;
  XdpAttachment& operator=(XdpAttachment&& other) noexcept;
  ~XdpAttachment();

  // False once somebody has taken the program off, put another one into its place, or removed the
  // device.
  [[nodiscard]] bool in_place() const;
  [[nodiscard]] XdpMode mode() const { return mode_; }
  // Why it is not native; empty when it is.
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const std::string& device() const { return device_; }

 private:
  XdpAttachment(int link_fd, std::string device, XdpMode mode, std::string reason);

  int link_fd_;
  unsigned interface_index_ = 0;  // both as the kernel had them at first
  unsigned program_id_ = 0;
  std::string device_;
  XdpMode mode_;
  std::string reason_;
};

}  // namespace ringway::control
