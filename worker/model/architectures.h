#ifndef SINKWATCH_WORKER_MODEL_ARCHITECTURES_H_
#define SINKWATCH_WORKER_MODEL_ARCHITECTURES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/checkpoint/config/config.h"
#include "worker/model/architecture.h"

namespace sinkwatch::model {

// Reads what an architecture needs of the config; codes as CreateArchitecture.
using ArchitectureFactory =
    absl::StatusOr<std::unique_ptr<Architecture>>(const checkpoint::Config&);

// One per file of this folder; the registry's table names them.
ArchitectureFactory MakeBigramBackcopy;
ArchitectureFactory MakeGpt2;
ArchitectureFactory MakeGptNeoX;
ArchitectureFactory MakeGptOss;
ArchitectureFactory MakeLlama;
ArchitectureFactory MakeMistral;
ArchitectureFactory MakeOlmo;
ArchitectureFactory MakeOlmo2;
ArchitectureFactory MakeOlmo3;
ArchitectureFactory MakeOlmoe;
ArchitectureFactory MakeQwen2;
ArchitectureFactory MakeQwen3;

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_ARCHITECTURES_H_
