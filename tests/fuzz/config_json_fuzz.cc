// config.json as text, and access to its keys. What an architecture makes of
// them is in the target `architecture`.
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/config/config.h"
#include "worker/files/fields.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::Config;

constexpr char kPath[] = "config.json";

// Reads as an architecture does, and what it is given after an error as well.
void ReadKeys(files::Fields& fields) {
  for (const char* key :
       {"hidden_size", "vocab_size", "num_hidden_layers", "head_dim"}) {
    const int64_t value = fields.Int(key, 1, 1 << 20);
    Expect(value >= 1 && value <= 1 << 20, "an integer is in its range");
    Expect(!fields.status().ok() || fields.Has(key), "a value has its key");
  }
  for (const char* key : {"rms_norm_eps", "initializer_range"}) {
    const double value = fields.PositiveOr(key, 1);
    Expect(std::isfinite(value) && value > 0, "a number is finite and above 0");
  }
  const int64_t groups = fields.IntOr("num_key_value_heads", 1, 1024, 1);
  Expect(groups >= 1 && groups <= 1024, "a default is in its range");
  fields.BoolOr("tie_word_embeddings", false);
  fields.StringOr("hidden_act", "silu");
  files::Fields section = fields.Section("rope_parameters");
  section.PositiveOr("rope_theta", 10000);
  section.StringOr("rope_type", "default");
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const absl::StatusOr<Config> config =
      Config::Parse(kPath, std::string(input));
  if (!config.ok()) return config.status();
  const size_t end = input.find_last_of('}');
  Expect(absl::IsFailedPrecondition(
             Config::Parse(kPath, std::string(input.substr(0, end))).status()),
         "a config without its last brace is incomplete");
  files::Fields fields = config->fields();
  ReadKeys(fields);
  return fields.status();
}

}  // namespace sinkwatch::fuzz
