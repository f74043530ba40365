#ifndef SINKWATCH_WORKER_CHECKPOINT_PICKLE_INPUT_H_
#define SINKWATCH_WORKER_CHECKPOINT_PICKLE_INPUT_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/checkpoint/pickle/opcode.h"

namespace sinkwatch::checkpoint::pickle {

// The bytes of a pickle, taken from the front. What fails returns false and
// leaves in status() why, with the byte and the opcode.
class Input {
 public:
  // Takes no more than `max_bytes` at once.
  Input(absl::string_view bytes, uint64_t max_bytes)
      : bytes_(bytes), max_bytes_(max_bytes) {}

  const absl::Status& status() const { return status_; }
  Opcode opcode() const { return opcode_; }
  size_t num_left() const { return bytes_.size() - position_; }

  bool Fail(absl::Status (*make)(absl::string_view), absl::string_view rule) {
    status_ =
        make(absl::StrCat("byte ", start_, ": ", NameOf(opcode_), ": ", rule));
    return false;
  }
  bool Broken(absl::string_view rule) {
    return Fail(absl::DataLossError, rule);
  }
  bool Refused(absl::string_view rule) {
    return Fail(absl::UnimplementedError, rule);
  }
  bool Ends() {
    status_ = absl::FailedPreconditionError(absl::StrCat(
        "incomplete: ends at byte ", bytes_.size(), ", before its STOP"));
    return false;
  }

  bool Take(uint64_t count, absl::string_view* out) {
    if (count > max_bytes_) {
      return Refused(absl::StrCat(count, " bytes, above the ", max_bytes_,
                                  " that are read"));
    }
    if (count > num_left()) return Ends();
    *out = bytes_.substr(position_, count);
    position_ += count;
    return true;
  }

  // An unsigned integer, little-endian.
  bool TakeInt(int num_bytes, uint64_t* out) {
    absl::string_view text;
    if (!Take(num_bytes, &text)) return false;
    *out = 0;
    for (int i = num_bytes - 1; i >= 0; --i) {
      *out = *out << 8 | static_cast<uint8_t>(text[i]);
    }
    return true;
  }

  bool TakeLine(absl::string_view* out) {
    size_t end = bytes_.find('\n', position_);
    if (end == absl::string_view::npos) return Ends();
    *out = bytes_.substr(position_, end - position_);
    position_ = end + 1;
    return true;
  }

  bool NextOpcode() {
    start_ = position_;
    absl::string_view code;
    if (!Take(1, &code)) return false;
    opcode_ = static_cast<Opcode>(code[0]);
    return true;
  }

 private:
  const absl::string_view bytes_;
  const uint64_t max_bytes_;
  size_t position_ = 0;
  size_t start_ = 0;  // of the opcode
  Opcode opcode_ = Opcode::kProto;
  absl::Status status_;
};

}  // namespace sinkwatch::checkpoint::pickle

#endif  // SINKWATCH_WORKER_CHECKPOINT_PICKLE_INPUT_H_
