#ifndef SINKWATCH_WORKER_EXECUTOR_MODEL_PARTS_H_
#define SINKWATCH_WORKER_EXECUTOR_MODEL_PARTS_H_

#include <cstdint>
#include <vector>

#include "c10/core/Device.h"
#include "worker/checkpoint/tensor_reader.h"
#include "worker/executor/weight_loader.h"
#include "worker/model/architecture.h"

namespace sinkwatch::executor {

// In which parts, and in which order, a model's weights are in memory: the
// embedding, the layers, slices of the output matrix; or back: the slices, then
// the layers from the last on. Immutable.
class ModelParts {
 public:
  // `embedding_rows`: those that are wanted. `architecture` must outlive the
  // parts.
  ModelParts(const model::Architecture& architecture,
             std::vector<checkpoint::RowRange> embedding_rows,
             c10::Device device);

  int64_t count() const { return 1 + layers_ + slices_; }
  WeightRequest Request(int64_t part) const;

  int64_t count_back() const { return slices_ + layers_; }
  WeightRequest RequestBack(int64_t part) const;

 private:
  WeightRequest Layer(int64_t layer) const;
  WeightRequest HeadSlice(int64_t slice) const;

  const model::Architecture& architecture_;
  const std::vector<checkpoint::RowRange> embedding_rows_;
  const int64_t layers_;
  const int64_t slice_rows_;  // of the output matrix, at a time
  const int64_t slices_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_MODEL_PARTS_H_
