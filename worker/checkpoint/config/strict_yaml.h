#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_STRICT_YAML_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_STRICT_YAML_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// What a document may cost.
struct YamlLimits {
  size_t bytes = 4 << 20;
  size_t depth = 32;           // maps and lists inside one another
  size_t values = 100 * 1000;  // scalars, maps and lists together
};

struct YamlDocument {
  nlohmann::json root;  // an object
  // The key that comes last in the root, which is where a writer stopped.
  std::string last_key;
};

// Parses `text` as one YAML document that is a map: the part of YAML that
// config dumps use. The text is taken as events, so nothing is built that the
// limits do not allow. Refused: anchors, aliases (before they expand), tags,
// merge keys, keys that are not scalars, a key twice, a second document, NUL,
// a byte order mark.
//
// A plain scalar has the type that OmegaConf's reader gives it: null, bool
// (true, yes, on, ...), decimal integer, float (1.0e-05, and 1e-6 without a
// dot), else string. Numbers in other notations (0x10, 010, 1_000, 1:30, .inf)
// stay strings, so that whoever asks for a number refuses them. A quoted scalar
// is a string.
//
// Codes, for the caller to translate, as ParseJsonObject has them: OUT_OF_RANGE
// if the text ends too early, RESOURCE_EXHAUSTED above a limit,
// INVALID_ARGUMENT for anything else. Messages name the line.
absl::StatusOr<YamlDocument> ParseYamlObject(absl::string_view text,
                                             const YamlLimits& limits = {});

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_STRICT_YAML_H_
