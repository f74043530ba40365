// config.yaml of OLMo's first trainer: YAML, and the keys made of it.
#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/config/config.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/checkpoint/config/strict_yaml.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::ParseYamlObject;
using Json = nlohmann::json;

// Small, so that the fuzzer reaches them.
checkpoint::YamlLimits Limits() {
  checkpoint::YamlLimits limits;
  limits.depth = 6;
  limits.values = 100;
  return limits;
}

size_t DepthOf(const Json& value) {
  size_t depth = 0;
  for (const Json& child : value) {
    if (child.is_structured()) depth = std::max(depth, DepthOf(child));
  }
  return depth + 1;
}

size_t CountOf(const Json& value) {
  size_t count = 1;
  if (!value.is_structured()) return count;
  for (const Json& child : value) count += CountOf(child);
  return count;
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
  Expect(config->Architecture().ok(), "a translated config has its name");
  Expect(config->Int("hidden_size", 1, 1 << 30).ok(),
         "a translated config has a width");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
