#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_GLOBALS_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_GLOBALS_H_

#include "worker/checkpoint/dtype.h"
#include "worker/checkpoint/pickle/reader.h"

namespace sinkwatch::checkpoint {

// What the globals of a torch.save'd pickle mean.
enum TorchTag {
  kOther,         // named or made, of no meaning for the weights
  kStorageType,   // its dtype: DtypeOfGlobal
  kAnyStorage,    // UntypedStorage: bytes
  kDtypeName,     // its dtype: DtypeOfGlobal
  kTensorV2,      // (storage, offset, size, stride, grad, hooks[, metadata])
  kTensorV3,      // (storage, offset, size, stride, grad, hooks, dtype[, ...])
  kParameter,     // (tensor, grad, hooks[, state])
  kTensorOfType,  // (rebuild function, type, its arguments, state)
};

// The rules of a data.pkl.
const pickle::Rules& TorchRules();

// Of a global with tag kStorageType or kDtypeName.
const Dtype* DtypeOfGlobal(const pickle::GlobalRule& global);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_GLOBALS_H_
