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
  std::atomic<int64_t> pieces_left{0};
};

// One part of the model.
struct WeightLoader::Job {
  struct Piece {
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
  std::vector<Piece> pieces;
  std::atomic<size_t> pieces_left{0};
  std::unique_ptr<Staging::Transfer> transfer;  // to a GPU
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
  threads_.Stop();
  if (staging_ == nullptr) return;
  // Copies may still be on their way from and into memory that is about to be
  // free. A device that is lost has none.
  const absl::Status drained = CatchDeviceErrors(device_, [&] {
    staging_->Drain();
    return absl::OkStatus();
  });
  drained.IgnoreError();
}

void WeightLoader::Prefetch(WeightRequest request) {
  auto job = std::make_unique<Job>(std::move(request));
  const absl::Status planned = Plan(*job);
  if (!planned.ok()) job->Fail(planned);
  job->pieces_left = job->pieces.size();
  if (staging_ != nullptr) job->transfer = staging_->Begin();
  jobs_.push_back(std::move(job));
  threads_.Add(jobs_.back()->pieces.size(),
               [this, job = jobs_.back().get()](size_t piece, int thread) {
                 ReadPiece(*job, piece, thread);
               });
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
    RETURN_IF_ERROR(AddPieces(weight, job));
  }
  return absl::OkStatus();
}

absl::Status WeightLoader::AddPieces(Weight& weight, Job& job) {
  if (weight.plan.whole_only) {
    weight.pieces_left = 1;
    job.pieces.push_back({&weight, {0, 1}});
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(weight.stored, PlaceFor(weight.plan));
  const int64_t rows = RowsIn(weight.plan.stored_shape);
  const int64_t row_bytes =
      static_cast<int64_t>(weight.stored.nbytes()) / std::max<int64_t>(1, rows);
  const int64_t step = device_.is_cpu() ? checkpoint::RowsOfPart(row_bytes)
                                        : Staging::RowsOfChunk(row_bytes);
  weight.pieces_left = (rows + step - 1) / step;
  for (int64_t row = 0; row < rows; row += step) {
    job.pieces.push_back({&weight, {row, std::min(step, rows - row)}});
  }
  return absl::OkStatus();
}

void WeightLoader::ReadPiece(Job& job, size_t piece, int thread) {
  const c10::InferenceMode guard;
  const Job::Piece& read = job.pieces[piece];
  const absl::Status status = CatchDeviceErrors(device_, [&] {
    if (!job.failed) {
      RETURN_IF_ERROR(ReadRows(job, *read.weight, read.rows, thread));
      if (--read.weight->pieces_left == 0) {
        RETURN_IF_ERROR(FinishWeight(*read.weight));
      }
    }
    if (--job.pieces_left == 0 && staging_ != nullptr) {
      staging_->End(*job.transfer);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) job.Fail(status);
}

absl::Status WeightLoader::ReadRows(Job& job, Weight& weight, RowRange rows,
                                    int thread) {
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
    return staging_->Copy(*job.transfer, *weight.reader, rows, weight.stored,
                          thread);
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
  threads_.WaitForFirst();
  const std::chrono::duration<double> waited =
      std::chrono::steady_clock::now() - start;
  waited_seconds_ += waited.count();
  Job& job = *jobs_.front();
  {
    const base::MutexLock lock(job.mutex);
    if (!job.status.ok()) return job.status;
  }
  if (staging_ != nullptr) staging_->Land(*job.transfer);
  model::TensorMap weights;
  for (Weight& weight : job.weights) {
    weights[weight.spec->name] =
        weight.ready.defined()
            ? weight.ready.to(device_)
            : ArrangeWeight(weight.plan, weight.stored).to(dtype_);
  }
  jobs_.pop_front();
  return weights;
}

}  // namespace sinkwatch::executor
