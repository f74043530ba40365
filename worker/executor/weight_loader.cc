#include "worker/executor/weight_loader.h"

#include <chrono>
#include <new>
#include <utility>

#include "c10/core/InferenceMode.h"
#include "c10/util/Exception.h"
#include "worker/executor/weight_source.h"

namespace sinkwatch::executor {

WeightLoader::WeightLoader(checkpoint::Checkpoint& checkpoint,
                           at::Device device, at::ScalarType dtype)
    : checkpoint_(checkpoint), device_(device), dtype_(dtype) {}

WeightLoader::~WeightLoader() {
  if (next_.valid()) next_.wait();
}

void WeightLoader::Prefetch(WeightRequest request) {
  next_ = std::async(std::launch::async, [this, request = std::move(request)] {
    return Read(request);
  });
}

absl::StatusOr<model::TensorMap> WeightLoader::Take() {
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<model::TensorMap> weights = next_.get();
  const std::chrono::duration<double> waited =
      std::chrono::steady_clock::now() - start;
  waited_seconds_ += waited.count();
  return weights;
}

absl::StatusOr<at::Tensor> WeightLoader::ReadOne(
    const WeightRequest& request, const model::TensorSpec& spec) {
  if (spec.name != request.part_of) return ReadWeight(checkpoint_, spec);
  return request.slice.count > 0
             ? ReadWeightSlice(checkpoint_, spec, request.slice)
             : ReadWeightRows(checkpoint_, spec, request.picked);
}

absl::StatusOr<model::TensorMap> WeightLoader::Read(
    const WeightRequest& request) {
  const c10::InferenceMode guard;
  model::TensorMap weights;
  try {
    for (const model::TensorSpec& spec : request.specs) {
      const auto tensor = ReadOne(request, spec);
      if (!tensor.ok()) return tensor.status();
      weights[spec.name] = tensor->to(device_, dtype_);
    }
  } catch (const c10::OutOfMemoryError& error) {
    return absl::ResourceExhaustedError(error.what_without_backtrace());
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory for the weights of a layer");
  }
  return weights;
}

}  // namespace sinkwatch::executor
