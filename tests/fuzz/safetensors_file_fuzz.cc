// A whole safetensors file, as it lies on disk.
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input_file.h"
#include "worker/checkpoint/container/safetensors.h"

namespace sinkwatch::fuzz {

using checkpoint::SafetensorsEntry;

absl::Status FuzzOne(absl::string_view input) {
  const auto file = OpenInput(input);
  const absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      checkpoint::ReadSafetensorsHeader(*file);
  if (!entries.ok()) return entries.status();
  int64_t bytes = 0;
  for (const SafetensorsEntry& entry : *entries) {
    Expect(entry.begin >= 8 && entry.begin <= entry.end &&
               entry.end <= static_cast<int64_t>(input.size()),
           "an entry lies in the file");
    bytes += entry.end - entry.begin;
  }
  int64_t header = 0;
  for (int i = 7; i >= 0; --i) {
    header = header << 8 | static_cast<unsigned char>(input[i]);
  }
  Expect(8 + header + bytes == static_cast<int64_t>(input.size()),
         "length, header and entries are the whole file");
  // What a writer that is half-way leaves behind.
  const auto half = OpenInput(input.substr(0, input.size() / 2));
  Expect(absl::IsFailedPrecondition(
             checkpoint::ReadSafetensorsHeader(*half).status()),
         "half a file is incomplete");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
