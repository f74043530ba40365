#ifndef SINKWATCH_WORKER_MODEL_ARCHITECTURES_H_
#define SINKWATCH_WORKER_MODEL_ARCHITECTURES_H_

#include <memory>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"

namespace sinkwatch::model {

// Reads what an architecture needs of a config's keys, checked. What is wrong
// with them is the status of `config`, to be asked before the architecture is
// used.
using ArchitectureFactory =
    std::unique_ptr<Architecture>(files::Fields& config);

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
