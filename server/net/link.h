#ifndef SINKWATCH_SERVER_NET_LINK_H_
#define SINKWATCH_SERVER_NET_LINK_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "server/net/frame_guard.h"

namespace sinkwatch::net {

// Bytes on their way from one socket to another.
//
// Thread-compatible.
class Pipe {
 public:
  enum class End { kOpen, kClosed };

  Pipe(int from, int to) : from_(from), to_(to) {}

  // Reads what is there, up to 64 KiB that wait. kClosed: no more will come.
  End Read();
  // Lets `count` more bytes pass.
  void Admit(size_t count) { admitted_ += count; }
  // Writes what was admitted. kClosed: nobody takes it any more.
  End Write();

  // What waits to be admitted.
  absl::string_view waiting() const {
    return absl::string_view(bytes_).substr(admitted_);
  }
  bool has_room() const { return bytes_.size() < kMaxBytes; }
  // Whether admitted bytes are left that the other side did not take.
  bool stuck() const { return admitted_ > 0; }
  // Bytes that were written since the beginning.
  uint64_t moved() const { return moved_; }

 private:
  static constexpr size_t kMaxBytes = 64 << 10;

  const int from_;
  const int to_;
  std::string bytes_;
  size_t admitted_ = 0;  // of the first of them
  uint64_t moved_ = 0;
};

// One client and the socket that its server has of it, with a FrameGuard in
// between. Owns both sockets.
//
// Thread-compatible.
class Link {
 public:
  using Time = FrameGuard::Time;

  Link(int client, int server, const FrameLimits& limits, Time now);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Moves what can be moved, both ways. An error says why the link is to be
  // closed; CANCELLED: one side has ended it.
  absl::Status Move(Time now, size_t max_calls);

  int client() const { return client_; }
  int server() const { return server_; }
  // What epoll is to watch.
  uint32_t ClientEvents() const;
  uint32_t ServerEvents() const;

  const FrameGuard& guard() const { return guard_; }
  // When it came, or last had a call.
  Time active() const { return active_; }
  // Whether something waits that the client has to move first.
  bool waits() const { return guard_.waits() || down_.stuck(); }
  // Since when nothing has moved, whether something waits or not.
  Time still_since() const { return still_since_; }
  Time since() const { return since_; }

 private:
  absl::Status MoveUp(Time now, size_t max_calls);
  absl::Status MoveDown();

  const int client_;
  const int server_;
  const Time since_;
  FrameGuard guard_;
  Pipe up_;
  Pipe down_;
  bool server_ended_ = false;
  Time active_;
  uint64_t moved_ = 0;
  Time still_since_;
};

}  // namespace sinkwatch::net

#endif  // SINKWATCH_SERVER_NET_LINK_H_
