#include "worker/executor/weight_loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "ATen/ops/empty.h"
#include "absl/base/thread_annotations.h"
#include "c10/core/InferenceMode.h"
#include "proto/base/mutex.h"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/checked_tensor.h"
#include "worker/executor/device_errors.h"

namespace sinkwatch::executor {
namespace {

using checkpoint::RowRange;

// More do not read faster from memory than a GPU's bus takes.
constexpr int kMaxReaders = 16;
// Beside threads that compute on the same cores.
constexpr int kMaxReadersOnCpu = 4;
// Cores that are left to the thread that launches a GPU's work, and to others.
constexpr int kSparedCores = 2;

int ReadersFor(at::Device device) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return device.is_cpu() ? std::clamp(cores, 1, kMaxReadersOnCpu)
                         : std::clamp(cores - kSparedCores, 1, kMaxReaders);
}

int64_t RowsIn(const std::vector<int64_t>& shape) {
  return shape.empty() ? 1 : shape[0];
}

}  // namespace

// One tensor of a part.
struct WeightLoader::Weight {
  const model::TensorSpec* spec = nullptr;
  WeightPlan plan;
  WeightPart part;
  at::Tensor stored;  // where the rows go
  at::Tensor ready;   // on the CPU, once all of them are there
  std::once_flag opened;
  absl::StatusOr<checkpoint::RowsReader> reader = absl::UnknownError("");
  std::atomic<int64_t> parts_left{0};
};

// One part of the model.
struct WeightLoader::Job {
  struct Part {
    Weight* weight = nullptr;
    RowRange rows;
  };

  explicit Job(WeightRequest request) : request(std::move(request)) {}

  void Fail(const absl::Status& error) {
    const base::MutexLock lock(mutex);
    if (status.ok()) status = error;
    failed = true;
  }

  const WeightRequest request;
  std::deque<Weight> weights;
  std::vector<Part> parts;
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  base::Mutex mutex;
  absl::Status status ABSL_GUARDED_BY(mutex);
};

WeightLoader::WeightLoader(checkpoint::Checkpoint& checkpoint,
                           at::Device device, at::ScalarType dtype)
    : checkpoint_(checkpoint),
      device_(device),
      dtype_(dtype),
      threads_(ReadersFor(device)) {
  if (!device_.is_cpu()) {
    staging_ = std::make_unique<Staging>(device_, threads_.count());
  }
}

WeightLoader::~WeightLoader() {
  threads_.Wait();
  if (job_ == nullptr || staging_ == nullptr) return;
  // Copies may still be on their way into memory that is about to be free. A
  // device that is lost has none.
  const absl::Status drained = CatchDeviceErrors(device_, [&] {
    staging_->Drain();
    return absl::OkStatus();
  });
  drained.IgnoreError();
}

void WeightLoader::Prefetch(WeightRequest request) {
  job_ = std::make_unique<Job>(std::move(request));
  const absl::Status planned = Plan(*job_);
  if (!planned.ok()) job_->Fail(planned);
  if (staging_ != nullptr) staging_->Begin();
  threads_.Start(
      [this, job = job_.get()](int thread) { ReadParts(*job, thread); });
}

absl::StatusOr<at::Tensor> WeightLoader::PlaceFor(const WeightPlan& plan) {
  if (!device_.is_cpu()) {
    return at::empty(plan.stored_shape,
                     at::TensorOptions(plan.stored_type).device(device_));
  }
  try {
    return buffers_.Empty(plan.stored_shape, plan.stored_type);
  } catch (const std::bad_alloc&) {
    ASSIGN_OR_RETURN(const checkpoint::RowsReader reader,
                     OpenWeight(checkpoint_, plan));
    return reader.NoMemory();
  }
}

absl::Status WeightLoader::Plan(Job& job) {
  for (const model::TensorSpec& spec : job.request.specs) {
    const bool in_part = spec.name == job.request.part_of;
    auto plan = PlanWeight(checkpoint_, spec,
                           in_part ? job.request.part : WeightPart());
    if (!plan.ok()) return plan.status();
    Weight& weight = job.weights.emplace_back();
    weight.spec = &spec;
    weight.plan = *std::move(plan);
    weight.part = in_part ? job.request.part : WeightPart();
    if (weight.plan.whole_only) {
      weight.parts_left = 1;
      job.parts.push_back({&weight, {0, 1}});
      continue;
    }
    ASSIGN_OR_RETURN(weight.stored, PlaceFor(weight.plan));
    const int64_t rows = RowsIn(weight.plan.stored_shape);
    const int64_t row_bytes = static_cast<int64_t>(weight.stored.nbytes()) /
                              std::max<int64_t>(1, rows);
    const int64_t step = device_.is_cpu() ? checkpoint::RowsOfPart(row_bytes)
                                          : Staging::RowsOfChunk(row_bytes);
    weight.parts_left = (rows + step - 1) / step;
    for (int64_t row = 0; row < rows; row += step) {
      job.parts.push_back({&weight, {row, std::min(step, rows - row)}});
    }
  }
  return absl::OkStatus();
}

void WeightLoader::ReadParts(Job& job, int thread) {
  const c10::InferenceMode guard;
  while (!job.failed) {
    const size_t i = job.next++;
    if (i >= job.parts.size()) return;
    const Job::Part& part = job.parts[i];
    const absl::Status status = CatchDeviceErrors(device_, [&] {
      absl::Status read = ReadPart(*part.weight, part.rows, thread);
      if (!read.ok() || --part.weight->parts_left > 0) return read;
      return FinishWeight(*part.weight);
    });
    if (!status.ok()) job.Fail(status);
  }
}

absl::Status WeightLoader::ReadPart(Weight& weight, RowRange rows, int thread) {
  if (weight.plan.whole_only) {
    auto made = ReadWeight(checkpoint_, *weight.spec, weight.part);
    if (!made.ok()) return made.status();
    weight.ready = made->to(dtype_);
    return absl::OkStatus();
  }
  std::call_once(weight.opened,
                 [&] { weight.reader = OpenWeight(checkpoint_, weight.plan); });
  if (!weight.reader.ok()) return weight.reader.status();
  if (staging_ != nullptr) {
    return staging_->Copy(*weight.reader, rows, weight.stored, thread);
  }
  char* const out = static_cast<char*>(weight.stored.mutable_data_ptr());
  return weight.reader->Read(rows,
                             out + rows.first * weight.reader->row_bytes());
}

absl::Status WeightLoader::FinishWeight(Weight& weight) {
  if (weight.plan.whole_only) return absl::OkStatus();
  absl::Status status = weight.reader->Finish();
  if (!status.ok() || staging_ != nullptr) return status;
  const at::Tensor arranged = ArrangeWeight(weight.plan, weight.stored);
  if (arranged.scalar_type() == dtype_) {
    weight.ready = arranged;
  } else {
    weight.ready = buffers_.Empty(arranged.sizes(), dtype_);
    weight.ready.copy_(arranged);
  }
  weight.stored = at::Tensor();
  return status;
}

absl::StatusOr<model::TensorMap> WeightLoader::Take() {
  const auto start = std::chrono::steady_clock::now();
  threads_.Wait();
  const std::chrono::duration<double> waited =
      std::chrono::steady_clock::now() - start;
  waited_seconds_ += waited.count();
  {
    const base::MutexLock lock(job_->mutex);
    if (!job_->status.ok()) return job_->status;
  }
  if (staging_ != nullptr) staging_->End();
  model::TensorMap weights;
  for (Weight& weight : job_->weights) {
    weights[weight.spec->name] =
        weight.ready.defined()
            ? weight.ready.to(device_)
            : ArrangeWeight(weight.plan, weight.stored).to(dtype_);
  }
  job_.reset();
  return weights;
}

}  // namespace sinkwatch::executor
