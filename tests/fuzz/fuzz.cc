#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"

namespace sinkwatch::fuzz {
namespace {

constexpr size_t kMaxMessage = 2000;

bool IsOutcome(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
    // What parsers below the outcomes say, for their callers to translate.
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Expect(bool holds, absl::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "finding: not so: %s\n", std::string(what).c_str());
  std::abort();
}

absl::Status FuzzOneChecked(absl::string_view input) {
  absl::Status status = FuzzOne(input);
  Expect(IsOutcome(status.code()), "the code is one of the failure table's");
  if (status.ok()) return status;
  const absl::string_view message = status.message();
  Expect(!message.empty(), "an error has a message");
  Expect(message.size() <= kMaxMessage, "a message has at most 2,000 bytes");
  Expect(std::all_of(message.begin(), message.end(), absl::ascii_isprint),
         "a message is printable ASCII");
  return status;
}

}  // namespace sinkwatch::fuzz
