#ifndef SINKWATCH_WORKER_CHECKPOINT_DETECT_H_
#define SINKWATCH_WORKER_CHECKPOINT_DETECT_H_

#include <string>

#include "absl/status/statusor.h"
#include "worker/checkpoint/stored_tensor.h"

// What a path that somebody calls a checkpoint is. No weights are opened.
namespace sinkwatch::checkpoint {

// A container of weights, known by a file that it has.
struct Container {
  const char* marker;  // relative to the folder
  absl::StatusOr<Contents> (*open)(const std::string& folder,
                                   const std::string& confinement);
};

// The container in `folder`, valid for ever. NOT_FOUND if the folder is gone;
// UNIMPLEMENTED if it is a file, or its weights are in a container that is not
// read; FAILED_PRECONDITION if there are no weights yet; UNAVAILABLE if it
// cannot be searched. Messages begin with the path.
absl::StatusOr<const Container*> FindContainer(const std::string& folder);

// Whether `path` asks for a file of llama2.c, the one container that is no
// folder.
bool IsLlama2cPath(const std::string& path);

// Below which folder the files of `folder` must lie once links are followed:
// the one around it, or that of its config, where somebody made a folder of
// links to the files of another. Codes of worker/files/file.h.
absl::StatusOr<std::string> ConfinementOf(const std::string& folder);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_DETECT_H_
