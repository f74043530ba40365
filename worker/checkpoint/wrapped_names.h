#ifndef SINKWATCH_WORKER_CHECKPOINT_WRAPPED_NAMES_H_
#define SINKWATCH_WORKER_CHECKPOINT_WRAPPED_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "worker/checkpoint/stored_tensor.h"

// Names of tensors below modules that wrap others and add their own part to
// each name, of the whole model or of each block:
//
//   module                        DistributedDataParallel, DeepSpeed, EMA
//   _orig_mod                     torch.compile
//   _fsdp_wrapped_module          FullyShardedDataParallel
//   _fpw_module                   the same before torch 1.12
//   _checkpoint_wrapped_module    activation checkpointing
//   _forward_module               Lightning Fabric
//   language_model, text_model    models of text and images, around the former
//
// and a module of any name around the whole model, as programs have it that
// keep the model as a member (net.model.layers..., model.model.layers...).
namespace sinkwatch::checkpoint {

// `name` without those parts, wherever they stand.
std::string UnwrappedName(absl::string_view name);

// Takes them off all names, and the module around the model: a first part that
// all names have, if names of a scheme (worker/model/naming.h) are left then
// and the part begins none itself. UNIMPLEMENTED, naming it, if two tensors
// have one name then: of a model beside its average, say, there is no telling
// which is meant.
absl::Status UnwrapNames(std::vector<StoredTensor>& tensors);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_WRAPPED_NAMES_H_
