// The JSON of a safetensors header. An input is a line with the number of data
// bytes that follow the header in its file, then the header.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/container/safetensors.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::ParseSafetensorsHeader;
using checkpoint::SafetensorsEntry;
using Json = nlohmann::json;

constexpr char kPath[] = "model.safetensors";

// In 128 bits, which the limits on rank and dimensions cannot overflow after
// the parser's check, so that a check that wraps around is seen.
unsigned __int128 BitsOf(const SafetensorsEntry& entry) {
  unsigned __int128 bits = entry.dtype->bits;
  for (int64_t dimension : entry.shape) {
    Expect(dimension >= 0, "no dimension is negative");
    bits *= static_cast<unsigned __int128>(dimension);
    Expect(bits >> 64 == 0, "the bits of a tensor fit in 64 bits");
  }
  return bits;
}

// Every byte belongs to exactly one entry.
void ExpectTiles(const std::vector<SafetensorsEntry>& entries,
                 int64_t data_bytes) {
  std::multimap<int64_t, int64_t> ranges;
  for (const SafetensorsEntry& entry : entries) {
    Expect(entry.begin <= entry.end, "an entry ends after it begins");
    Expect(BitsOf(entry) ==
               static_cast<unsigned __int128>(entry.end - entry.begin) * 8,
           "an entry has the bytes of its shape");
    if (entry.begin < entry.end) ranges.emplace(entry.begin, entry.end);
  }
  int64_t at = 0;
  for (const auto& [begin, end] : ranges) {
    Expect(begin == at, "entries tile the data");
    at = end;
  }
  Expect(at == data_bytes, "entries end where the data ends");
}

// The same content by a parser of the whole tree.
void ExpectSameAsTree(const std::vector<SafetensorsEntry>& entries,
                      absl::string_view text) {
  const Json tree = Json::parse(text.begin(), text.end(), nullptr, false);
  Expect(tree.is_object(), "the header is a JSON object");
  Expect(entries.size() + tree.count("__metadata__") == tree.size(),
         "each tensor is one entry");
  std::string before;
  for (const SafetensorsEntry& entry : entries) {
    Expect(&entry == &entries.front() || before < entry.name,
           "names ascend and none is there twice");
    before = entry.name;
    const auto found = tree.find(entry.name);
    Expect(found != tree.end(), "an entry has the name of a tensor");
    Expect((*found)["dtype"] == entry.dtype->name, "an entry has its dtype");
    Expect((*found)["shape"] == entry.shape, "an entry has its shape");
    Expect((*found)["data_offsets"] == Json({entry.begin, entry.end}),
           "an entry has its offsets");
  }
}

absl::StatusCode CodeWith(absl::string_view header, int64_t data_bytes) {
  return ParseSafetensorsHeader(kPath, header, data_bytes).status().code();
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const size_t line = input.find('\n');
  uint64_t data_bytes = 0;
  if (line == absl::string_view::npos ||
      !absl::SimpleAtoi(input.substr(0, line), &data_bytes)) {
    return absl::InvalidArgumentError("no line with the number of data bytes");
  }
  data_bytes %= uint64_t{1} << 62;
  const absl::string_view header = input.substr(line + 1);
  const absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      ParseSafetensorsHeader(kPath, header, data_bytes);
  if (!entries.ok()) return entries.status();
  ExpectTiles(*entries, data_bytes);
  ExpectSameAsTree(*entries, header);
  Expect(CodeWith(header, data_bytes + 1) == absl::StatusCode::kDataLoss,
         "a byte more is corrupt");
  Expect(data_bytes == 0 || CodeWith(header, data_bytes - 1) ==
                                absl::StatusCode::kFailedPrecondition,
         "a byte less is incomplete");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
