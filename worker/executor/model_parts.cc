#include "worker/executor/model_parts.h"

#include <algorithm>
#include <utility>

namespace sinkwatch::executor {
namespace {

// Elements of the output matrix that are held at a time, of which there are
// two, one being read: 16 MiB of float32. On a GPU each slice costs a row of
// launches, and memory is wider: 64 MiB of bfloat16.
constexpr int64_t kHeadElements = int64_t{1} << 22;
constexpr int64_t kHeadElementsOfGpu = int64_t{1} << 25;

int64_t SliceRows(const model::ModelShape& shape, c10::Device device) {
  const int64_t elements = device.is_cpu() ? kHeadElements : kHeadElementsOfGpu;
  return std::max<int64_t>(1, elements / shape.width);
}

}  // namespace

ModelParts::ModelParts(const model::Architecture& architecture,
                       std::vector<checkpoint::RowRange> embedding_rows,
                       c10::Device device)
    : architecture_(architecture),
      embedding_rows_(std::move(embedding_rows)),
      layers_(architecture.shape().layers),
      slice_rows_(SliceRows(architecture.shape(), device)),
      slices_((architecture.shape().vocabulary + slice_rows_ - 1) /
              slice_rows_) {}

WeightRequest ModelParts::Request(int64_t part) const {
  if (part == 0) {
    return {architecture_.EmbeddingTensors(),
            "embed_tokens",
            {WeightPart::kPicked, embedding_rows_}};
  }
  return part <= layers_ ? Layer(part - 1) : HeadSlice(part - 1 - layers_);
}

WeightRequest ModelParts::RequestBack(int64_t part) const {
  return part < slices_ ? HeadSlice(part)
                        : Layer(layers_ - 1 - (part - slices_));
}

WeightRequest ModelParts::Layer(int64_t layer) const {
  return {architecture_.LayerTensors(static_cast<int>(layer))};
}

WeightRequest ModelParts::HeadSlice(int64_t slice) const {
  const int64_t first = slice * slice_rows_;
  return {architecture_.HeadTensors(),
          "lm_head",
          {WeightPart::kSlice,
           {{first, std::min(slice_rows_,
                             architecture_.shape().vocabulary - first)}}}};
}

}  // namespace sinkwatch::executor
