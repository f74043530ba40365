#include "server/net/link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace sinkwatch::net {

Pipe::End Pipe::Read() {
  char block[16 << 10];
  while (has_room()) {
    const ssize_t count = recv(from_, block, sizeof(block), 0);
    if (count > 0) {
      bytes_.append(block, static_cast<size_t>(count));
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      return End::kClosed;
    } else if (errno == EAGAIN) {
      return End::kOpen;
    }
  }
  return End::kOpen;
}

Pipe::End Pipe::Write() {
  size_t written = 0;
  while (written < admitted_) {
    const ssize_t count =
        send(to_, bytes_.data() + written, admitted_ - written, MSG_NOSIGNAL);
    if (count > 0) {
      written += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return End::kClosed;
    }
  }
  bytes_.erase(0, written);
  admitted_ -= written;
  moved_ += written;
  // A thousand idle connections keep no buffers.
  if (bytes_.empty()) bytes_.shrink_to_fit();
  return End::kOpen;
}

Link::Link(int client, int server, const FrameLimits& limits, Time now)
    : client_(client),
      server_(server),
      since_(now),
      guard_(limits),
      up_(client, server),
      down_(server, client),
      active_(now),
      still_since_(now) {}

Link::~Link() {
  close(client_);
  close(server_);
}

absl::Status Link::Move(Time now, size_t max_calls) {
  // What the server ends makes room for what the client begins.
  absl::Status status = MoveDown();
  if (status.ok()) status = MoveUp(now, max_calls);
  if (guard_.open_calls() > 0) active_ = now;
  const uint64_t moved = up_.moved() + down_.moved();
  if (moved != moved_ || !waits()) still_since_ = now;
  moved_ = moved;
  return status;
}

absl::Status Link::MoveUp(Time now, size_t max_calls) {
  const bool ended = up_.Read() == Pipe::End::kClosed;
  const auto passed = guard_.FromClient(up_.waiting(), now, max_calls);
  if (!passed.ok()) return passed.status();
  up_.Admit(*passed);
  if (up_.Write() == Pipe::End::kClosed && !server_ended_) {
    return absl::CancelledError("the server has closed");
  }
  return ended ? absl::CancelledError("the client has closed")
               : absl::OkStatus();
}

absl::Status Link::MoveDown() {
  if (!server_ended_) {
    server_ended_ = down_.Read() == Pipe::End::kClosed;
    const absl::string_view bytes = down_.waiting();
    guard_.FromServer(bytes);
    down_.Admit(bytes.size());
  }
  if (down_.Write() == Pipe::End::kClosed) {
    return absl::CancelledError("the client has closed");
  }
  return server_ended_ && !down_.stuck()
             ? absl::CancelledError("the server has closed")
             : absl::OkStatus();
}

uint32_t Link::ClientEvents() const {
  return (up_.has_room() && !guard_.waits() ? EPOLLIN : 0u) |
         (down_.stuck() ? EPOLLOUT : 0u);
}

uint32_t Link::ServerEvents() const {
  return (down_.has_room() && !server_ended_ ? EPOLLIN : 0u) |
         (up_.stuck() ? EPOLLOUT : 0u);
}

}  // namespace sinkwatch::net
