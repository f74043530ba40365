#ifndef SINKWATCH_WORKER_EXECUTOR_WEIGHT_LOADER_H_
#define SINKWATCH_WORKER_EXECUTOR_WEIGHT_LOADER_H_

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/host_buffers.h"
#include "worker/executor/reader_threads.h"
#include "worker/executor/staging.h"
#include "worker/executor/weight_source.h"
#include "worker/model/architecture.h"
#include "worker/model/tensor_map.h"

namespace sinkwatch::executor {

// A part of a model's weights.
struct WeightRequest {
  std::vector<model::TensorSpec> specs;
  // The spec of which not all is wanted, and what of it; empty: all of
  // everything.
  std::string part_of = {};
  WeightPart part = {};
};

// Reads the weights of a model part by part, on threads of its own, so that
// the next parts are read while this one computes. What is returned lies on the
// compute device in the compute dtype.
//
// Each thread takes the next few rows, of the oldest part that has any left,
// reads them, checks that they are finite and takes their digest while they are
// in its core's cache: where one part ends, threads go on with the next. On the
// CPU they are read to where they stay (HostBuffers); on a GPU into pinned
// memory, from which they are copied on a stream of their own (Staging), and
// widened and arranged there. There a part's weights lie one behind the other,
// in the order of their specs, in one block of memory.
class WeightLoader {
 public:
  // `checkpoint` must outlive the loader.
  WeightLoader(checkpoint::Checkpoint& checkpoint, at::Device device,
               at::ScalarType dtype);
  // Drops what is under way.
  ~WeightLoader();

  WeightLoader(const WeightLoader&) = delete;
  WeightLoader& operator=(const WeightLoader&) = delete;

  // Starts reading, behind the parts that were not taken yet. On a GPU memory
  // is taken from the current stream's pool here: call it, and Take, on the
  // thread that computes. Throws c10::Error for memory, and then nothing has
  // begun.
  void Prefetch(WeightRequest request);
  // Waits for the oldest part that was not taken and hands it over, by the
  // short names of its specs; errors as Checkpoint::ReadTensor. On a GPU the
  // current stream waits for its last copies.
  absl::StatusOr<model::TensorMap> Take();

  // After the last Take: of what was read, the checkpoint's digests are whole
  // now. On a GPU they are taken there, of rows that are long enough.
  void FinishDigests();

  // Seconds that Take has waited so far.
  double waited_seconds() const { return waited_seconds_; }

 private:
  struct Weight;
  struct Job;

  absl::Status Plan(Job& job);
  // Memory to read the weights to. RESOURCE_EXHAUSTED names file and tensor.
  absl::Status Place(Job& job);
  absl::StatusOr<at::Tensor> PlaceOnCpu(const WeightPlan& plan);
  void AddPieces(Weight& weight, Job& job);
  void ReadPiece(Job& job, size_t piece);
  absl::Status ReadRows(Job& job, size_t piece);
  void FinishPiece(Job& job, size_t piece);
  absl::Status FinishWeight(Weight& weight);
  // Memory of at least so many bytes on the device for a part.
  at::Tensor BlockOf(int64_t bytes);
  // Starts the digests of a part that has landed.
  void HashOnDevice(Job& job);
  // Zeros for the sums of so many tensors: [N,2].
  at::Tensor SumsFor(const std::vector<checkpoint::RowsReader>& readers);

  checkpoint::Checkpoint& checkpoint_;
  const at::Device device_;
  const at::ScalarType dtype_;
  double waited_seconds_ = 0;
  HostBuffers buffers_;               // on the CPU
  std::unique_ptr<Staging> staging_;  // elsewhere
  // Elsewhere, that of parts: used again once nothing of a part is left.
  std::vector<at::Tensor> blocks_;
  // Digests under way on the device: a sum for each reader, and zeros.
  struct DeviceDigests {
    at::Tensor sums_N2;
    std::vector<checkpoint::RowsReader> readers;
  };
  std::vector<DeviceDigests> digests_;
  std::deque<std::unique_ptr<Job>> jobs_;  // not taken yet
  ReaderThreads threads_;                  // last: they use the others
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_WEIGHT_LOADER_H_
