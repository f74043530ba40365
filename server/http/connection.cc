#include "server/http/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sinkwatch::http {
namespace {

constexpr char kEnd[] = "\r\n\r\n";
constexpr size_t kChunk = 16 * 1024;
// Of one client in a row, before others have their turn.
constexpr int kDiscardChunks = 16;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

Connection::~Connection() { close(fd_); }

Connection::Io Connection::Receive(size_t limit) {
  char buffer[kChunk];
  while (in_.size() < limit) {
    const size_t room = std::min(sizeof(buffer), limit - in_.size());
    const ssize_t count = recv(fd_, buffer, room, 0);
    if (count > 0) {
      in_.append(buffer, static_cast<size_t>(count));
    } else if (count == 0) {
      return in_.empty() ? Io::kClosed : Io::kDone;
    } else if (errno != EINTR) {
      return WouldBlock() ? Io::kBlocked : Io::kClosed;
    }
  }
  return Io::kDone;
}

absl::optional<std::string> Connection::TakeRequest() {
  // Empty lines before a request are to be ignored (RFC 9112, 2.2).
  while (in_.compare(0, 2, "\r\n") == 0) in_.erase(0, 2);
  const size_t end = in_.find(kEnd);
  if (end == std::string::npos) return absl::nullopt;
  std::string request = in_.substr(0, end);
  in_.erase(0, end + sizeof(kEnd) - 1);
  return request;
}

Connection::Io Connection::Discard() {
  in_.clear();
  char buffer[kChunk];
  for (int i = 0; i < kDiscardChunks; ++i) {
    const ssize_t count = recv(fd_, buffer, sizeof(buffer), 0);
    if (count == 0) return Io::kDone;
    if (count < 0) return WouldBlock() ? Io::kBlocked : Io::kDone;
  }
  return Io::kBlocked;
}

void Connection::Answer(std::string head,
                        std::shared_ptr<const std::string> prefix,
                        std::string body) {
  head_ = std::move(head);
  prefix_ = std::move(prefix);
  body_ = std::move(body);
  sent_ = 0;
}

absl::string_view Connection::Rest() const {
  size_t done = sent_;
  for (absl::string_view part :
       {absl::string_view(head_),
        prefix_ == nullptr ? absl::string_view() : absl::string_view(*prefix_),
        absl::string_view(body_)}) {
    if (done < part.size()) return part.substr(done);
    done -= part.size();
  }
  return {};
}

Connection::Io Connection::Send() {
  while (true) {
    const absl::string_view rest = Rest();
    if (rest.empty()) break;
    const ssize_t count = send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      sent_ += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      return WouldBlock() ? Io::kBlocked : Io::kClosed;
    }
  }
  Answer("", nullptr, "");
  return Io::kDone;
}

void Connection::EndSending() { shutdown(fd_, SHUT_WR); }

}  // namespace sinkwatch::http
