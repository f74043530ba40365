// JSON of people and trainers: what every config, index and probe goes through.
#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_size.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::fuzz {
namespace {

// Small, so that the fuzzer reaches them.
files::JsonLimits Limits() {
  files::JsonLimits limits;
  limits.depth = 6;
  limits.values = 40;
  return limits;
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  files::JsonLimits of_python = Limits();
  of_python.python_numbers = true;
  const auto loose = files::ParseJsonObject(input, of_python);
  if (loose.ok()) {
    Expect(CountOf(*loose) <= Limits().values, "the number of values is kept");
  }
  const auto json = files::ParseJsonObject(input, Limits());
  if (!json.ok()) return json.status();
  Expect(json->is_object(), "the document is an object");
  Expect(loose.ok() && *loose == *json, "Python reads what is JSON as it is");
  Expect(DepthOf(*json) <= Limits().depth, "the depth is kept");
  Expect(CountOf(*json) <= Limits().values, "the number of values is kept");
  const auto again = files::ParseJsonObject(json->dump(), Limits());
  Expect(again.ok() && *again == *json, "what is written is read");
  // Where a writer is half-way the text ends early, and is nothing else.
  const size_t end = input.find_last_of('}');
  const absl::string_view half = input.substr(0, end * 2 / 3);
  Expect(absl::IsOutOfRange(files::ParseJsonObject(half).status()),
         "a part of a document ends early");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
