#ifndef SINKWATCH_SERVER_DISCOVERY_FLAT_FILE_H_
#define SINKWATCH_SERVER_DISCOVERY_FLAT_FILE_H_

#include <string>
#include <vector>

#include "server/discovery/layout.h"

// Checkpoints that are files of their own among others: model_000100.pt of
// nanochat, files of llama2.c. Pure functions, as those of layout.h.
namespace sinkwatch::discovery {

// The config that lies beside the file `name`: meta_000100.json of
// model_000100.pt, else config.json, config.yaml or params.json, which all
// share; nullptr if there is none.
const Entry* FindConfigOfFile(const std::string& name,
                              const std::vector<Entry>& beside);

// Whole are files of llama2.c (.bin), and those of torch and safetensors with a
// config, beside them or the run's. A model_N.pt without one waits for its
// meta_N.json; any other is not supported.
Verdict JudgeFile(const std::string& name, const Entry* config,
                  bool has_model_config);

// SHA-256 (hex) over names, sizes and times of the file and its config
// (nullptr: none).
std::string FingerprintOfFile(const Entry& file, const Entry* config);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_FLAT_FILE_H_
