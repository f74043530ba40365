// A file of llama2.c. An input is the beginning of the file, which is read as
// it is and with as many zeros after it as its header asks for.
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/expect_contents.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input_file.h"
#include "worker/checkpoint/container/llama2c.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::Llama2c;
using checkpoint::OpenLlama2c;

// As llama2.c's run.c computes it, in integers that cannot overflow.
__int128 SizeByRunC(absl::string_view input) {
  int32_t fields[7];
  std::memcpy(fields, input.data(), sizeof(fields));
  const __int128 dim = fields[0], hidden = fields[1], layers = fields[2];
  const __int128 head = dim / fields[3];
  const __int128 vocabulary = fields[5] < 0 ? -int64_t{fields[5]} : fields[5];
  __int128 floats = vocabulary * dim;
  floats +=
      layers * (dim + dim * (fields[3] * head) + 2 * dim * (fields[4] * head) +
                (fields[3] * head) * dim + dim + 3 * dim * hidden);
  floats += dim + fields[6] * head / 2 * 2;
  if (fields[5] < 0) floats += vocabulary * dim;
  return 28 + 4 * floats;
}

absl::Status OpenAt(absl::string_view input, int64_t size) {
  return OpenLlama2c(OpenInput(input, size)->path()).status();
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const auto file = OpenInput(input);
  absl::StatusOr<Llama2c> model = OpenLlama2c(file->path());
  // Without the data that its header asks for, or with: a header of numbers.
  const bool only_short = absl::IsFailedPrecondition(model.status()) &&
                          input.size() >= 28 &&
                          input.substr(0, 28) != std::string(28, '\0');
  const absl::Status outcome = model.status();
  if (!outcome.ok() && !only_short) return outcome;
  const __int128 size = SizeByRunC(input);
  Expect(size >= 28 && size < int64_t{1} << 56, "a size can be computed with");
  const auto whole = static_cast<int64_t>(size);
  if (whole > int64_t{1} << 40) return outcome;  // no room for such a file
  model = OpenLlama2c(OpenInput(input, whole)->path());
  Expect(model.ok(), "a file of its header's size is read");
  ExpectContents(model->contents);
  Expect(nlohmann::json::parse(model->config_json, nullptr, false).is_object(),
         "its config is JSON");
  if (static_cast<int64_t>(input.size()) < whole) {
    Expect(absl::IsFailedPrecondition(OpenAt(input, whole - 1)),
           "a byte less is incomplete");
  }
  Expect(absl::IsDataLoss(OpenAt(input, whole + 1)), "a byte more is corrupt");
  return outcome;
}

}  // namespace sinkwatch::fuzz
