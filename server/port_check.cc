#include "server/port_check.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace sinkwatch::server {
namespace {

// errno of a try to bind, 0 if it can be.
int BindError(const addrinfo& info) {
  const int handle = ::socket(info.ai_family, info.ai_socktype, 0);
  if (handle < 0) return errno;
  const int on = 1;
  // As servers do: connections that have ended do not hold a port.
  ::setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  int error = 0;
  if (::bind(handle, info.ai_addr, info.ai_addrlen) != 0 ||
      ::listen(handle, 1) != 0) {
    error = errno;
  }
  ::close(handle);
  return error;
}

}  // namespace

absl::Status CheckPort(const std::string& address, const std::string& flag) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return absl::OkStatus();
  const std::string port = address.substr(colon + 1);
  absl::string_view host = absl::string_view(address).substr(0, colon);
  host = absl::StripSuffix(absl::StripPrefix(host, "["), "]");
  if (port == "0") return absl::OkStatus();
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(std::string(host).c_str(), port.c_str(), &hints, &found) !=
      0) {
    return absl::OkStatus();
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard(found,
                                                             ::freeaddrinfo);
  const int error = BindError(*found);
  if (error == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      address,
      error == EADDRINUSE ? " is in use (another sinkwatch_server?)"
                          : absl::StrCat(": ", std::strerror(error)),
      "; choose --", flag));
}

}  // namespace sinkwatch::server
