#include "server/http/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/names.h"

namespace sinkwatch::http {
namespace {

constexpr int kBacklog = 1024;

absl::Status CannotServe(const std::string& address, const std::string& why) {
  return absl::UnavailableError(
      absl::StrCat("cannot serve HTTP on ", address, ": ", why));
}

absl::Status BindError(const std::string& address, int error) {
  if (error != EADDRINUSE) return CannotServe(address, std::strerror(error));
  return CannotServe(address,
                     "it is in use (another sinkwatch_server?); choose another "
                     "with --http_address");
}

}  // namespace

std::string HostOf(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return host;
}

absl::StatusOr<int> Listen(const std::string& address) {
  if (!server::IsAddress(address)) {
    return absl::InvalidArgumentError(
        absl::StrCat("HTTP address \"", address,
                     "\" is not host:port (as 127.0.0.1:17460)"));
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = address.substr(address.rfind(':') + 1);
  const int code =
      getaddrinfo(HostOf(address).c_str(), port.c_str(), &hints, &found);
  if (code != 0) return CannotServe(address, gai_strerror(code));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found,
                                                             freeaddrinfo);
  const int fd =
      socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotServe(address, std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
      listen(fd, kBacklog) != 0) {
    const int error = errno;
    close(fd);
    return BindError(address, error);
  }
  return fd;
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

}  // namespace sinkwatch::http
