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

// One per file of this folder (Ministral is in mistral.cc); the registry's
// table names them.
ArchitectureFactory MakeApertus;
ArchitectureFactory MakeBigramBackcopy;
ArchitectureFactory MakeDeepseekV2;
ArchitectureFactory MakeDeepseekV3;
ArchitectureFactory MakeGemma2;
ArchitectureFactory MakeGemma3;
ArchitectureFactory MakeGpt2;
ArchitectureFactory MakeGptNeoX;
ArchitectureFactory MakeGptOss;
ArchitectureFactory MakeLlama;
ArchitectureFactory MakeMinistral;
ArchitectureFactory MakeMistral;
ArchitectureFactory MakeMixtral;
ArchitectureFactory MakeNanoChat;
ArchitectureFactory MakeOlmo;
ArchitectureFactory MakeOlmo2;
ArchitectureFactory MakeOlmo3;
ArchitectureFactory MakeOlmoHybrid;
ArchitectureFactory MakeOlmoe;
ArchitectureFactory MakeQwen2;
ArchitectureFactory MakeQwen3;
ArchitectureFactory MakeQwen3Moe;
ArchitectureFactory MakeQwen3Next;
ArchitectureFactory MakeQwen35;
ArchitectureFactory MakeQwen35Moe;
ArchitectureFactory MakeSmolLm3;

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_ARCHITECTURES_H_
