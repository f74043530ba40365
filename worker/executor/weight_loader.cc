#include "worker/executor/weight_loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "absl/base/thread_annotations.h"
#include "c10/core/InferenceMode.h"
#include "c10/util/accumulate.h"
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
// Where a weight begins in the memory of a part: as LibTorch aligns its own.
constexpr int64_t kAlignment = 256;
// What a thread reads of a part at a time, for a GPU.
constexpr int64_t kPieceBytes = 512 << 10;

// Sums of digests that are set to zero at a time, by a launch.
constexpr int64_t kSumsAtATime = 512;

// Cores that are left to the thread that launches a GPU's work, and to others:
// a reader that waits for a core keeps all others of its copy. On 16 cores 14
// bring 7B in 280 ms, 15 in 290 and 16 in 340.
constexpr int kSparedCores = 2;

int ReadersFor(at::Device device) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return device.is_cpu() ? std::clamp(cores, 1, kMaxReadersOnCpu)
                         : std::clamp(cores - kSparedCores, 1, kMaxReaders);
}

using AddRowHashes = void(at::Tensor, at::TensorList, at::IntArrayRef);
// Of the kernels' library; null where that is not loaded.
const c10::TypedOperatorHandle<AddRowHashes>* RowHashKernel() {
  static const auto op = c10::Dispatcher::singleton().findSchema(
      {"sinkwatch::add_row_hashes_", ""});
  if (!op) return nullptr;
  static const auto typed = op->typed<AddRowHashes>();
  return &typed;
}

// That operator's rows.
bool IsHashedRow(int64_t row_bytes) {
  constexpr int64_t kLongest = 240, kWord = 8;
  return row_bytes > kLongest && row_bytes % kWord == 0;
}

int64_t RowsIn(const std::vector<int64_t>& shape) {
  return shape.empty() ? 1 : shape[0];
}

int64_t BytesOf(const WeightPlan& plan) {
  return c10::multiply_integers(plan.stored_shape) *
         static_cast<int64_t>(c10::elementSize(plan.stored_type));
}

int64_t RowsOfPiece(int64_t row_bytes) {
  return std::max<int64_t>(1, kPieceBytes / std::max<int64_t>(1, row_bytes));
}

}  // namespace

// One tensor of a part.
struct WeightLoader::Weight {
  const model::TensorSpec* spec = nullptr;
  WeightPlan plan;
  WeightPart part;
  int64_t at = 0;             // its first byte in the part's memory on a GPU
  at::Tensor stored;          // where the rows go
  at::Tensor ready;           // on the CPU, once all of them are there
  bool hashed_there = false;  // its digest is taken on the device
  std::once_flag opened;
  absl::StatusOr<checkpoint::RowsReader> reader = absl::UnknownError("");
  std::atomic<int64_t> pieces_left{0};
};

// One part of the model.
struct WeightLoader::Job {
  struct Piece {
    Weight* weight = nullptr;
    RowRange rows;
    int64_t at = 0;                 // as Weight::at
    Staging::Copy* copy = nullptr;  // that it is a part of, to a GPU
  };

  explicit Job(WeightRequest request) : request(std::move(request)) {}

  void Fail(const absl::Status& error) {
    const base::MutexLock lock(mutex);
    if (status.ok()) status = error;
    failed = true;
  }

  // The copy that bytes [at, at + bytes) of the part's memory, behind those
  // before, go with.
  Staging::Copy* CopyOf(int64_t at, int64_t bytes) {
    if (copies.empty() || at + bytes > copies.back().at + Staging::kCopyBytes) {
      copies.emplace_back().at = at;
    }
    Staging::Copy& copy = copies.back();
    copy.bytes = at + bytes - copy.at;
    ++copy.parts_left;
    return &copy;
  }

  const WeightRequest request;
  std::deque<Weight> weights;
  std::vector<Piece> pieces;
  std::atomic<size_t> pieces_left{0};
  std::deque<Staging::Copy> copies;  // to a GPU
  std::unique_ptr<Staging::Transfer> transfer;
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
    staging_ = std::make_unique<Staging>(device_);
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
  absl::Status planned = Plan(*job);
  if (planned.ok()) planned = Place(*job);
  if (planned.ok()) {
    for (Weight& weight : job->weights) AddPieces(weight, *job);
  } else {
    job->Fail(planned);
  }
  job->pieces_left = job->pieces.size();
  for (Staging::Copy& copy : job->copies) staging_->Enqueue(copy);
  jobs_.push_back(std::move(job));
  threads_.Add(jobs_.back()->pieces.size(),
               [this, job = jobs_.back().get()](size_t piece) {
                 ReadPiece(*job, piece);
               });
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
  }
  return absl::OkStatus();
}

absl::Status WeightLoader::Place(Job& job) {
  int64_t bytes = 0;
  for (Weight& weight : job.weights) {
    if (weight.plan.whole_only) continue;
    if (device_.is_cpu()) {
      ASSIGN_OR_RETURN(weight.stored, PlaceOnCpu(weight.plan));
      continue;
    }
    weight.at = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    bytes = weight.at + BytesOf(weight.plan);
  }
  if (staging_ == nullptr) return absl::OkStatus();
  const at::Tensor block = BlockOf(bytes);
  for (Weight& weight : job.weights) {
    if (weight.plan.whole_only) continue;
    weight.stored = block.narrow(0, weight.at, BytesOf(weight.plan))
                        .view(weight.plan.stored_type)
                        .view(weight.plan.stored_shape);
  }
  job.transfer = staging_->Begin(block);
  return absl::OkStatus();
}

// Parts of one size, as layers are, take turns in as many blocks as there are
// parts at a time; what computes has the rest of the device's memory for
// itself.
at::Tensor WeightLoader::BlockOf(int64_t bytes) {
  const auto is_free = [](const at::Tensor& block) {
    return block.storage().use_count() == 1;
  };
  for (const at::Tensor& block : blocks_) {
    if (is_free(block) && block.numel() >= bytes) return block;
  }
  blocks_.erase(std::remove_if(blocks_.begin(), blocks_.end(), is_free),
                blocks_.end());
  blocks_.push_back(
      at::empty({bytes}, at::TensorOptions(at::kByte).device(device_)));
  return blocks_.back();
}

absl::StatusOr<at::Tensor> WeightLoader::PlaceOnCpu(const WeightPlan& plan) {
  try {
    return buffers_.Empty(plan.stored_shape, plan.stored_type);
  } catch (const std::bad_alloc&) {
    ASSIGN_OR_RETURN(const checkpoint::RowsReader reader,
                     OpenWeight(checkpoint_, plan));
    return reader.NoMemory();
  }
}

void WeightLoader::AddPieces(Weight& weight, Job& job) {
  if (weight.plan.whole_only) {
    weight.pieces_left = 1;
    job.pieces.push_back({&weight, {0, 1}});
    return;
  }
  const int64_t rows = RowsIn(weight.plan.stored_shape);
  const int64_t row_bytes = BytesOf(weight.plan) / std::max<int64_t>(1, rows);
  weight.hashed_there = staging_ != nullptr && weight.plan.digested &&
                        IsHashedRow(row_bytes) && RowHashKernel() != nullptr;
  const int64_t step = device_.is_cpu() ? checkpoint::RowsOfPart(row_bytes)
                                        : RowsOfPiece(row_bytes);
  weight.pieces_left = (rows + step - 1) / step;
  for (int64_t row = 0; row < rows; row += step) {
    const int64_t count = std::min(step, rows - row);
    const int64_t at = weight.at + row * row_bytes;
    Staging::Copy* const copy =
        staging_ == nullptr ? nullptr : job.CopyOf(at, count * row_bytes);
    job.pieces.push_back({&weight, {row, count}, at, copy});
  }
}

void WeightLoader::ReadPiece(Job& job, size_t piece) {
  const c10::InferenceMode guard;
  const absl::Status read =
      CatchDeviceErrors(device_, [&] { return ReadRows(job, piece); });
  if (!read.ok()) job.Fail(read);
  const absl::Status finished = CatchDeviceErrors(device_, [&] {
    FinishPiece(job, piece);
    return absl::OkStatus();
  });
  if (!finished.ok()) job.Fail(finished);
}

absl::Status WeightLoader::ReadRows(Job& job, size_t piece) {
  if (job.failed) return absl::OkStatus();
  const auto& [read, rows, at, copy] = job.pieces[piece];
  Weight& weight = *read;
  if (weight.plan.whole_only) {
    auto made = ReadWeight(checkpoint_, *weight.spec, weight.part);
    if (!made.ok()) return made.status();
    weight.ready = made->to(dtype_);
    return absl::OkStatus();
  }
  std::call_once(weight.opened,
                 [&] { weight.reader = OpenWeight(checkpoint_, weight.plan); });
  if (!weight.reader.ok()) return weight.reader.status();
  const int64_t row_bytes = weight.reader->row_bytes();
  char* const out = copy != nullptr
                        ? staging_->MemoryFor(*copy, at)
                        : static_cast<char*>(weight.stored.mutable_data_ptr()) +
                              rows.first * row_bytes;
  const int64_t step = checkpoint::RowsOfPart(row_bytes);
  for (int64_t row = 0; row < rows.count; row += step) {
    const RowRange part{rows.first + row, std::min(step, rows.count - row)};
    char* const to = out + row * row_bytes;
    RETURN_IF_ERROR(weight.hashed_there ? weight.reader->ReadUnhashed(part, to)
                                        : weight.reader->Read(part, to));
  }
  return --weight.pieces_left == 0 ? FinishWeight(weight) : absl::OkStatus();
}

// Also of a piece that was not read: others of its copy may wait for it.
void WeightLoader::FinishPiece(Job& job, size_t piece) {
  if (staging_ == nullptr) return;
  if (Staging::Copy* const copy = job.pieces[piece].copy) {
    staging_->FinishPart(*job.transfer, *copy, !job.failed);
  }
  if (--job.pieces_left == 0) staging_->End(*job.transfer);
}

absl::Status WeightLoader::FinishWeight(Weight& weight) {
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

void WeightLoader::HashOnDevice(Job& job) {
  std::vector<checkpoint::RowsReader> readers;
  std::vector<at::Tensor> tensors;
  std::vector<int64_t> first;
  for (Weight& weight : job.weights) {
    if (!weight.hashed_there) continue;
    for (const RowRange& rows : weight.reader->ClaimDigest()) {
      const int64_t begin = rows.first - weight.reader->first_row();
      tensors.push_back(weight.stored.narrow(0, begin, rows.count));
      first.push_back(rows.first);
      readers.push_back(*weight.reader);
    }
  }
  if (tensors.empty()) return;
  RowHashKernel()->call(SumsFor(readers), tensors, first);
}

at::Tensor WeightLoader::SumsFor(
    const std::vector<checkpoint::RowsReader>& readers) {
  const auto count = static_cast<int64_t>(readers.size());
  const auto used = [&] {
    return static_cast<int64_t>(digests_.back().readers.size());
  };
  if (digests_.empty() || digests_.back().sums_N2.size(0) < used() + count) {
    digests_.emplace_back().sums_N2 =
        at::zeros({std::max(kSumsAtATime, count), 2},
                  at::TensorOptions(at::kLong).device(device_));
  }
  const at::Tensor sums_N2 = digests_.back().sums_N2.narrow(0, used(), count);
  auto& all = digests_.back().readers;
  all.insert(all.end(), readers.begin(), readers.end());
  return sums_N2;
}

// Takes no memory of the device, which may be full.
void WeightLoader::FinishDigests() {
  for (const DeviceDigests& digests : digests_) {
    const at::Tensor sums_N2 = digests.sums_N2.cpu();
    const int64_t* sum = sums_N2.const_data_ptr<int64_t>();
    for (const checkpoint::RowsReader& reader : digests.readers) {
      reader.AddDigest(
          {static_cast<uint64_t>(sum[0]), static_cast<uint64_t>(sum[1])});
      sum += 2;
    }
  }
  digests_.clear();
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
  if (staging_ != nullptr) {
    staging_->Land(*job.transfer);
    HashOnDevice(job);
  }
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
