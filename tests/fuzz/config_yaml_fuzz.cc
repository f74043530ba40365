// config.yaml of OLMo's first trainer: YAML, and the keys made of it.
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_size.h"
#include "worker/checkpoint/config/config.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/checkpoint/config/strict_yaml.h"
#include "worker/files/fields.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::ParseYamlObject;

// Small, so that the fuzzer reaches them.
checkpoint::YamlLimits Limits() {
  checkpoint::YamlLimits limits;
  limits.depth = 6;
  limits.values = 100;
  return limits;
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const auto yaml = ParseYamlObject(input, Limits());
  if (yaml.ok()) {
    Expect(yaml->root.is_object(), "the document is a map");
    Expect(DepthOf(yaml->root) <= Limits().depth, "the depth is kept");
    Expect(CountOf(yaml->root) <= Limits().values,
           "the number of values is kept");
    Expect(yaml->root.empty() || yaml->root.contains(yaml->last_key),
           "the last key is one of its keys");
  }
  const auto config =
      checkpoint::ParseModelConfig("config.yaml", std::string(input));
  if (!config.ok()) return config.status();
  Expect(config->Has("architectures"), "a translated config has its name");
  files::Fields fields = config->fields();
  fields.Int("hidden_size", 1, 1 << 30);
  Expect(fields.status().ok(), "a translated config has a width");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
