#include "server/net/frame_guard.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace sinkwatch::net {
namespace {

constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types of frames and their flags, RFC 9113, 6.
constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kResetStream = 3;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kWindowUpdate = 8;
constexpr uint8_t kContinuation = 9;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;

// What a frame may have that is neither data nor header fields.
constexpr uint32_t kMaxPayload = 16 << 10;
constexpr std::chrono::seconds kResetCounts(1);

absl::Status Wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

}  // namespace

FrameGuard::Frame FrameGuard::Parse(const unsigned char* bytes) {
  const auto number = [bytes](int first, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | bytes[first + i];
    return value;
  };
  Frame frame;
  frame.length = number(0, 3);
  frame.type = bytes[3];
  frame.flags = bytes[4];
  frame.stream = number(5, 4) & 0x7fffffff;
  return frame;
}

absl::StatusOr<size_t> FrameGuard::FromClient(absl::string_view bytes, Time now,
                                              size_t max_calls) {
  waits_ = false;
  while (!resets_.empty() && now - resets_.front() >= kResetCounts) {
    resets_.pop_front();
  }
  auto passed = PassPreface(bytes);
  if (!passed.ok()) return passed;
  while (preface_ == kPreface.size() && *passed < bytes.size()) {
    const size_t left = bytes.size() - *passed;
    if (payload_left_ > 0) {
      const size_t part = std::min<size_t>(payload_left_, left);
      payload_left_ -= static_cast<uint32_t>(part);
      *passed += part;
      continue;
    }
    if (left < kHeaderBytes) break;
    const Frame frame =
        Parse(reinterpret_cast<const unsigned char*>(bytes.data()) + *passed);
    const auto admitted = Admit(frame, now, max_calls);
    if (!admitted.ok()) return admitted.status();
    waits_ = !*admitted;
    if (waits_) break;
    payload_left_ = frame.length;
    *passed += kHeaderBytes;
  }
  return passed;
}

absl::StatusOr<size_t> FrameGuard::PassPreface(absl::string_view bytes) {
  const size_t part = std::min(kPreface.size() - preface_, bytes.size());
  if (kPreface.substr(preface_, part) != bytes.substr(0, part)) {
    return Wrong("it does not speak HTTP/2");
  }
  preface_ += part;
  return part;
}

absl::StatusOr<bool> FrameGuard::Admit(const Frame& frame, Time now,
                                       size_t max_calls) {
  if (!greeted_) {
    if (frame.type != kSettings)
      return Wrong("its first frame has no settings");
    greeted_ = true;
    tokens_ = limits_.small_frames;
    filled_ = now;
  }
  if (in_headers_ != (frame.type == kContinuation)) {
    return Wrong("header fields begin or go on in the wrong place");
  }
  if (frame.type == kHeaders) return AdmitHeaders(frame, max_calls);
  const bool data = frame.type == kData;
  if (!data && frame.length > kMaxPayload) {
    return Wrong(absl::StrCat("a frame of type ", frame.type, " has ",
                              frame.length, " bytes"));
  }
  const bool small = data ? frame.length == 0 && (frame.flags & kEndStream) == 0
                          : frame.type != kWindowUpdate;
  if (small && !TakeToken(now)) return false;
  if (frame.type == kResetStream && open_.erase(frame.stream) > 0) {
    resets_.push_back(now);
  }
  if (frame.type == kContinuation) {
    absl::Status status = AddToHeaders(frame);
    if (!status.ok()) return status;
  }
  return true;
}

absl::StatusOr<bool> FrameGuard::AdmitHeaders(const Frame& frame,
                                              size_t max_calls) {
  if (frame.stream % 2 == 0) return Wrong("a call of a number that is not odd");
  const bool is_new = frame.stream > last_stream_;
  if (is_new && open_calls() >= max_calls) return false;
  header_bytes_ = 0;
  absl::Status status = AddToHeaders(frame);
  if (!status.ok()) return status;
  if (is_new) {
    last_stream_ = frame.stream;
    open_.insert(frame.stream);
  }
  return true;
}

absl::Status FrameGuard::AddToHeaders(const Frame& frame) {
  header_bytes_ += frame.length;
  in_headers_ = (frame.flags & kEndHeaders) == 0;
  if (header_bytes_ <= limits_.max_header_bytes) return absl::OkStatus();
  return Wrong(absl::StrCat("the header fields of a call are above ",
                            limits_.max_header_bytes, " bytes"));
}

bool FrameGuard::TakeToken(Time now) {
  const std::chrono::duration<double> passed = now - filled_;
  filled_ = now;
  tokens_ = std::min<double>(limits_.small_frames,
                             tokens_ + limits_.small_frames * passed.count());
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

void FrameGuard::FromServer(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (server_payload_left_ > 0) {
      const size_t part = std::min<size_t>(server_payload_left_, bytes.size());
      server_payload_left_ -= static_cast<uint32_t>(part);
      bytes.remove_prefix(part);
      continue;
    }
    const size_t part =
        std::min(kHeaderBytes - from_server_bytes_, bytes.size());
    std::memcpy(from_server_.data() + from_server_bytes_, bytes.data(), part);
    from_server_bytes_ += part;
    bytes.remove_prefix(part);
    if (from_server_bytes_ < kHeaderBytes) return;
    from_server_bytes_ = 0;
    const Frame frame = Parse(from_server_.data());
    server_payload_left_ = frame.length;
    NoteFromServer(frame);
  }
}

void FrameGuard::NoteFromServer(const Frame& frame) {
  const bool ends = (frame.type == kData || frame.type == kHeaders) &&
                    (frame.flags & kEndStream) != 0;
  if (ends || frame.type == kResetStream) open_.erase(frame.stream);
}

}  // namespace sinkwatch::net
