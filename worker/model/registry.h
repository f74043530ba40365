#ifndef SINKWATCH_WORKER_MODEL_REGISTRY_H_
#define SINKWATCH_WORKER_MODEL_REGISTRY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/checkpoint/config/config.h"
#include "worker/model/architecture.h"

namespace sinkwatch::model {

// The architecture that `config` asks for: architectures[0] or, where that is
// absent, model_type. UNIMPLEMENTED, by name, if there is none or it has an
// option that is not implemented; DATA_LOSS if a key is missing, of the wrong
// type or out of range.
absl::StatusOr<std::unique_ptr<Architecture>> CreateArchitecture(
    const checkpoint::Config& config);

// Names that CreateArchitecture knows, in the table's order.
std::vector<std::string> ArchitectureNames();

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_REGISTRY_H_
