#ifndef SINKWATCH_WORKER_MODEL_GELU_H_
#define SINKWATCH_WORKER_MODEL_GELU_H_

#include <string>

#include "ATen/core/Tensor.h"
#include "worker/files/fields.h"

namespace sinkwatch::model {

enum class GeluKind {
  kExact,  // x Phi(x)
  kTanh,   // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
};

// The activation that `key` names, `fallback` where it is absent: "gelu" is
// exact, "gelu_new", "gelu_fast" and "gelu_pytorch_tanh" are names of the tanh
// form. UNIMPLEMENTED, naming the key, for any other.
GeluKind ReadGelu(files::Fields& config, const char* key,
                  const std::string& fallback);

at::Tensor Gelu(const at::Tensor& x, GeluKind kind);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_GELU_H_
