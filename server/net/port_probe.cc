#include "server/net/port_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::net {
namespace {

using SteadyClock = std::chrono::steady_clock;

// The preface and settings that change nothing (RFC 9113, 3.4 and 6.5).
constexpr absl::string_view kHello(
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    "\0\0\0\4\0\0\0\0\0",
    33);
constexpr size_t kFrameHeader = 9;
constexpr char kSettings = 4;

class Probe {
 public:
  Probe(const addrinfo& to, SteadyClock::time_point deadline)
      : to_(to),
        deadline_(deadline),
        socket_(socket(to.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       0)) {}
  ~Probe() {
    if (socket_ >= 0) close(socket_);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  absl::Status Run() {
    absl::Status status = Connect();
    if (status.ok() &&
        send(socket_, kHello.data(), kHello.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(kHello.size())) {
      status = Failed("does not take a greeting");
    }
    return status.ok() ? ReadSettings() : status;
  }

 private:
  static absl::Status Failed(const std::string& what) {
    return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
  }

  absl::Status Connect() {
    if (socket_ < 0) return Failed("cannot be asked");
    if (connect(socket_, to_.ai_addr, to_.ai_addrlen) == 0) {
      return absl::OkStatus();
    }
    if (errno != EINPROGRESS) return Failed("does not accept connections");
    absl::Status status = Await(POLLOUT, "does not accept connections");
    if (!status.ok()) return status;
    socklen_t size = sizeof(errno);
    int error = 0;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0 ? absl::OkStatus()
                      : Failed("does not accept connections");
  }

  absl::Status ReadSettings() {
    char header[kFrameHeader];
    size_t there = 0;
    while (there < kFrameHeader) {
      absl::Status status = Await(POLLIN, "accepts connections and is silent");
      if (!status.ok()) return status;
      const ssize_t count =
          recv(socket_, header + there, kFrameHeader - there, 0);
      if (count == 0) {
        return absl::UnavailableError("closes connections at once");
      }
      if (count < 0) return Failed("ends connections");
      there += static_cast<size_t>(count);
    }
    return header[3] == kSettings
               ? absl::OkStatus()
               : absl::UnavailableError("does not speak HTTP/2");
  }

  absl::Status Await(short event, const char* lack) {
    pollfd waited = {socket_, event, 0};
    while (true) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline_ - SteadyClock::now());
      const int ready = poll(&waited, 1, std::max<int>(0, left.count()));
      if (ready > 0) return absl::OkStatus();
      if (ready == 0) return absl::DeadlineExceededError(lack);
      if (errno != EINTR) return Failed(lack);
    }
  }

  const addrinfo& to_;
  const SteadyClock::time_point deadline_;
  const int socket_;
};

}  // namespace

absl::Status ProbeHttp2(const std::string& host, int port,
                        std::chrono::milliseconds patience) {
  const auto deadline = SteadyClock::now() + patience;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found);
  if (code != 0) return absl::UnavailableError(gai_strerror(code));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found,
                                                             freeaddrinfo);
  return Probe(*found, deadline).Run();
}

}  // namespace sinkwatch::net
