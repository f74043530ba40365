#include "server/net/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/names.h"

namespace sinkwatch::net {
namespace {

constexpr int kBacklog = 1024;

absl::Status CannotListen(const std::string& address, const std::string& flag,
                          int error) {
  return absl::UnavailableError(absl::StrCat(
      address,
      error == EADDRINUSE ? " is in use (another sinkwatch_server?)"
                          : absl::StrCat(": ", std::strerror(error)),
      "; choose --", flag));
}

}  // namespace

std::string HostOf(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return host;
}

absl::StatusOr<int> Listen(const std::string& address,
                           const std::string& flag) {
  if (!server::IsAddress(address)) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, " \"", address, "\" is not host:port (as 127.0.0.1:17460)"));
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = address.substr(address.rfind(':') + 1);
  const int code =
      getaddrinfo(HostOf(address).c_str(), port.c_str(), &hints, &found);
  if (code != 0) {
    return absl::UnavailableError(
        absl::StrCat(address, ": ", gai_strerror(code), "; choose --", flag));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found,
                                                             freeaddrinfo);
  const int fd =
      socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(address, flag, errno);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
      listen(fd, kBacklog) != 0) {
    const int error = errno;
    close(fd);
    return CannotListen(address, flag, error);
  }
  return fd;
}

bool AcceptAll(int listener, absl::FunctionRef<void(int fd)> add,
               absl::FunctionRef<bool()> make_room) {
  while (true) {
    const int fd =
        accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      add(fd);
    } else if (errno == EMFILE || errno == ENFILE) {
      if (!make_room()) return false;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return true;
    }
  }
}

int DescriptorsWithin(int wanted, int parts) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  return static_cast<int>(
      std::min<rlim_t>(limit.rlim_cur / static_cast<rlim_t>(parts),
                       static_cast<rlim_t>(wanted)));
}

int PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  return address.ss_family == AF_INET6
             ? ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port)
             : ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
}

}  // namespace sinkwatch::net
