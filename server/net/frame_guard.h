#ifndef SINKWATCH_SERVER_NET_FRAME_GUARD_H_
#define SINKWATCH_SERVER_NET_FRAME_GUARD_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::net {

struct FrameLimits {
  // Bytes of one list of header fields, as they are sent.
  uint32_t max_header_bytes = 16 << 10;
  // Frames a second that carry neither a new call nor data: resets, pings,
  // settings, empty data. As many may come at once.
  int small_frames = 1000;
};

// Looks at an HTTP/2 connection (RFC 9113) as it passes and keeps from a server
// what costs it more than it costs the client: lists of header fields without
// end, more calls at once than were agreed on, floods of small frames. It knows
// frames only: neither their fields nor messages.
//
// Pure: does no I/O. Thread-compatible.
class FrameGuard {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit FrameGuard(const FrameLimits& limits = {}) : limits_(limits) {}

  // How many of `bytes`, the next that the client has sent and that were not
  // passed yet, may be passed on at `now`, where it may have `max_calls` open.
  // Less than all where the rest is not a whole frame header, or where a frame
  // has to wait for its time or for a call to end: waits() tells. An error,
  // which says what is wrong, ends the connection.
  absl::StatusOr<size_t> FromClient(absl::string_view bytes, Time now,
                                    size_t max_calls);
  // Takes note of what the server sends: all of it may be passed.
  void FromServer(absl::string_view bytes);

  // Whether the last FromClient kept something back that is whole.
  bool waits() const { return waits_; }
  // Calls that the client began and neither side has ended; those that it reset
  // count for a second more, because the server is still at them.
  size_t open_calls() const { return open_.size() + resets_.size(); }
  // Whether the client has said that it speaks HTTP/2, and its first settings.
  bool greeted() const { return greeted_; }

 private:
  static constexpr size_t kHeaderBytes = 9;
  struct Frame {
    uint32_t length = 0;
    uint8_t type = 0;
    uint8_t flags = 0;
    uint32_t stream = 0;
  };
  static Frame Parse(const unsigned char* bytes);

  absl::StatusOr<size_t> PassPreface(absl::string_view bytes);
  // Whether the frame may go now; false: it has to wait.
  absl::StatusOr<bool> Admit(const Frame& frame, Time now, size_t max_calls);
  absl::StatusOr<bool> AdmitHeaders(const Frame& frame, size_t max_calls);
  absl::Status AddToHeaders(const Frame& frame);
  bool TakeToken(Time now);
  void NoteFromServer(const Frame& frame);

  const FrameLimits limits_;
  size_t preface_ = 0;  // bytes of it that came
  bool greeted_ = false;
  bool waits_ = false;
  uint32_t payload_left_ = 0;
  bool in_headers_ = false;  // until the last CONTINUATION
  uint32_t header_bytes_ = 0;
  uint32_t last_stream_ = 0;
  std::unordered_set<uint32_t> open_;
  std::deque<Time> resets_;  // of the last second
  double tokens_ = 0;
  Time filled_;

  std::array<unsigned char, kHeaderBytes> from_server_;
  size_t from_server_bytes_ = 0;
  uint32_t server_payload_left_ = 0;
};

}  // namespace sinkwatch::net

#endif  // SINKWATCH_SERVER_NET_FRAME_GUARD_H_
