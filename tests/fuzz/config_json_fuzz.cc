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

namespace sinkwatch::fuzz {
namespace {

using checkpoint::Config;

constexpr char kPath[] = "config.json";

// The first error sticks; an architecture reads its keys one after another.
void Keep(const absl::Status& status, absl::Status* first) {
  if (first->ok()) *first = status;
}

void ReadInts(const Config& config, absl::Status* first) {
  for (const char* key :
       {"hidden_size", "vocab_size", "num_hidden_layers", "head_dim"}) {
    const absl::StatusOr<int64_t> value = config.Int(key, 1, 1 << 20);
    Keep(value.status(), first);
    Expect(!value.ok() || (*value >= 1 && *value <= 1 << 20),
           "an integer is in its range");
    Expect(!value.ok() || config.Has(key), "a value has its key");
  }
  Keep(config.IntOr("num_key_value_heads", 1, 1024, 1).status(), first);
}

void ReadOthers(const Config& config, absl::Status* first) {
  for (const char* key : {"rms_norm_eps", "initializer_range"}) {
    const absl::StatusOr<double> value = config.PositiveOr(key, 1);
    Keep(value.status(), first);
    Expect(!value.ok() || (std::isfinite(*value) && *value > 0),
           "a number is finite and above 0");
  }
  Keep(config.BoolOr("tie_word_embeddings", false).status(), first);
  Keep(config.StringOr("hidden_act", "silu").status(), first);
  const absl::StatusOr<Config> section = config.Section("rope_parameters");
  Keep(section.status(), first);
  if (!section.ok()) return;
  Keep(section->PositiveOr("rope_theta", 10000).status(), first);
  Keep(section->StringOr("rope_type", "default").status(), first);
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
  absl::Status first = config->Architecture().status();
  ReadInts(*config, &first);
  ReadOthers(*config, &first);
  return first;
}

}  // namespace sinkwatch::fuzz
