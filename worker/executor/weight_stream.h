#ifndef SINKWATCH_WORKER_EXECUTOR_WEIGHT_STREAM_H_
#define SINKWATCH_WORKER_EXECUTOR_WEIGHT_STREAM_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "c10/core/Device.h"
#include "worker/executor/weight_loader.h"
#include "worker/model/tensor_map.h"

namespace sinkwatch::executor {

// How many parts are read ahead of the one that computes. On a GPU two, so that
// the bus does not wait for the end of each part; on the CPU, where memory is
// what a worker is bounded by, and reading takes a small share of the time,
// one.
int PartsAhead(c10::Device device);

// The parts of a model in order, read ahead. Thread-compatible.
class WeightStream {
 public:
  // Parts 0 to `parts` - 1 are request(part). `loader` must outlive the stream,
  // have nothing under way, and be used through the stream alone until all
  // parts were taken. At least one part is read ahead.
  WeightStream(WeightLoader& loader, int64_t parts,
               std::function<WeightRequest(int64_t)> request, int ahead);

  // The next part, once it is there; then reading goes on with the part
  // `ahead` behind it. Where there is no memory for that one, fewer are read
  // ahead from then on. Errors as WeightLoader::Take; throws c10::Error for
  // memory that the very next part needs.
  absl::StatusOr<model::TensorMap> Next();

 private:
  void ReadAhead();

  WeightLoader& loader_;
  const int64_t parts_;
  const std::function<WeightRequest(int64_t)> request_;
  int64_t ahead_;
  int64_t asked_ = 0;
  int64_t taken_ = 0;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_WEIGHT_STREAM_H_
