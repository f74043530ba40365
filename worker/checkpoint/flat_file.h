#ifndef SINKWATCH_WORKER_CHECKPOINT_FLAT_FILE_H_
#define SINKWATCH_WORKER_CHECKPOINT_FLAT_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "worker/checkpoint/config/config.h"
#include "worker/checkpoint/stored_tensor.h"

// A checkpoint that is a file of its own among others: model_000100.pt beside
// meta_000100.json (nanochat), step100.safetensors beside a config.json that
// all of them share.
namespace sinkwatch::checkpoint {

// Whether `path` is a file that ends as weights of torch.save or safetensors
// do; ending in .bin, it is one where it begins as what torch.save writes.
bool IsFlatFile(const std::string& path);

struct FlatFile {
  Config config;
  Contents contents;
};

// Opens it. Its config is `model_config` where there is one, else, beside it,
// meta_N.json of model_N.pt, config.json, config.yaml or params.json: the first
// that is there. Codes of Checkpoint.
absl::StatusOr<FlatFile> OpenFlatFile(const std::string& path,
                                      const std::string& model_config);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_FLAT_FILE_H_
