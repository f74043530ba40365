#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SHARDED_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SHARDED_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::checkpoint {

// Weights in several files and an index that says which tensor is in which.
struct ShardedFormat {
  const char* index_file;  // its name
  const char* stem;        // of a shard's name, before -00001-of-00002
  const char* suffix;      // of a shard's name
  // Opens one shard.
  absl::StatusOr<Contents> (*open)(const std::string& path,
                                   const std::string& confinement);
};

// The shards of the only set in a folder, stem-00001-of-00002.suffix and so on
// (or ft-stem-..., torchtune's), in order. Empty where there is no set,
// several, or one that is not whole.
std::vector<std::string> OnlySetOfShards(const std::string& folder,
                                         const std::string& stem,
                                         const std::string& suffix);

// The weights that the index in `folder` names. A tensor that is in a shard but
// not listed is left out, with a warning in the log. Without an index
// (downloads of the weights alone), everything in the only set of shards. All
// files lie in `confinement` once links are followed.
//
// The codes of ParseShardIndex and of `format.open`; DATA_LOSS where a listed
// tensor is not in its shard; UNIMPLEMENTED where, without an index, a tensor
// is in two.
absl::StatusOr<Contents> OpenSharded(const std::string& folder,
                                     const std::string& confinement,
                                     const ShardedFormat& format);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SHARDED_H_
