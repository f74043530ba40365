#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_MODEL_CONFIG_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_MODEL_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "worker/checkpoint/config/config.h"

namespace sinkwatch::checkpoint {

// The path of the file in `folder` that ReadModelConfig reads, links not
// followed; empty if there is none.
std::string FindModelConfig(const std::string& folder);

// The config of the checkpoint in `folder`, whichever trainer wrote it, in the
// one form that architectures read: Hugging Face's keys.
//
//   config.json   of Hugging Face (model_type or architectures): as it is
//                 of hf_olmo (OLMo 1's fields)                  : translated
//                 of OLMo-core (a `model` object)               : translated
//   config.yaml   of OLMo's first trainer (a `model` map)       : translated
//   params.json   of Meta's Llama                               : translated
//   run_config.yaml  of Megatron Bridge                         : translated
//
// The first file that is there counts, in this order. With `path` that file is
// read instead, for a folder whose trainer left none. Files must lie in
// `confinement` once links are followed, unless that is empty; `path` need not.
//
// A translated config's path() says so, because errors of an architecture then
// name keys that the file does not have. The translators' own errors name the
// file's keys.
//
// Codes: those of Config::Read; FAILED_PRECONDITION also if no file is there
// ("config.json missing"), or if a config.yaml ends where its trainer would
// have written more; UNIMPLEMENTED for an option that no architecture has.
absl::StatusOr<Config> ReadModelConfig(const std::string& folder,
                                       const std::string& confinement,
                                       const std::string& path = "");

// The same from text. `path` is for errors, and its ending tells YAML (".yaml",
// ".yml") from JSON.
absl::StatusOr<Config> ParseModelConfig(const std::string& path,
                                        const std::string& text);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_MODEL_CONFIG_H_
