// The name of a folder, a file or a revision under a run's root, which anybody
// who can write there chooses: what it says of a checkpoint, if anything.
#include <algorithm>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "proto/base/step_name.h"
#include "tests/fuzz/fuzz.h"

namespace sinkwatch::fuzz {
namespace {

bool IsLabel(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return c == '/' || absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

void ExpectSound(const base::StepName& parsed, size_t size) {
  Expect(parsed.step >= 0 && parsed.tokens >= 0, "counts are not negative");
  Expect(
      parsed.stage.size() + parsed.variant.size() + parsed.seed.size() <= size,
      "labels are parts of the name");
  Expect(
      IsLabel(parsed.stage) && IsLabel(parsed.variant) && IsLabel(parsed.seed),
      "a label stays in its folder and in its line");
  Expect(parsed.axis != base::StepAxis::kTokens || parsed.tokens > 0 ||
             parsed.step == 0,
         "a count of tokens is known where it is the axis");
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const std::string name(input);
  const std::optional<base::StepName> parsed = base::ParseStepName(name);
  const std::optional<base::StepName> file = base::ParseStepFile(name);
  if (file.has_value()) {
    ExpectSound(*file, name.size());
    Expect(file->form == base::NameForm::kLoose, "a file proves little");
  }
  if (const auto count = base::ParseCount(name)) {
    Expect(*count >= 0, "a count is not negative");
  }
  Expect(!base::IsUnderWay(name) || (!parsed.has_value() && !file.has_value()),
         "what is under way is no checkpoint");
  if (!parsed.has_value()) return absl::InvalidArgumentError("it has no step");
  ExpectSound(*parsed, name.size());
  Expect(name.size() <= 200 && name[0] != '.', "a name is bounded and shown");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
