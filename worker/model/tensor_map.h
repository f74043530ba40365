#ifndef SINKWATCH_WORKER_MODEL_TENSOR_MAP_H_
#define SINKWATCH_WORKER_MODEL_TENSOR_MAP_H_

#include <map>
#include <string>

#include "ATen/core/Tensor.h"

namespace sinkwatch::model {

// The weights of one part of a model (embedding, a layer, the head), by the
// short names of its TensorSpecs. The loader has filled in every spec before a
// forward pass sees the map: a missing name is a programmer's error, and `at`
// throws std::out_of_range.
using TensorMap = std::map<std::string, at::Tensor>;

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_TENSOR_MAP_H_
