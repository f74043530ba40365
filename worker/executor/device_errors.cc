#include "worker/executor/device_errors.h"

#include <new>
#include <string>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "c10/core/CachingDeviceAllocator.h"

namespace sinkwatch::executor {
namespace {

constexpr char kDeviceLost[] = "sinkwatch/device_lost";
constexpr int32_t kCudaOutOfMemory = 2;  // cudaErrorMemoryAllocation

// Words of errors of memory that have no class of their own: LibTorch's CPU
// allocator, and libraries that make their handles late.
constexpr absl::string_view kMemoryWords[] = {
    "DefaultCPUAllocator", "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED"};

absl::string_view FirstLine(absl::string_view text) {
  return text.substr(0, text.find('\n'));
}

// Whether a sum of one number still works.
bool Computes(at::Device device) {
  if (device.is_cpu()) return true;
  try {
    return at::zeros({1}, at::TensorOptions(device)).sum().item<float>() == 0;
  } catch (const c10::Error& error) {
    return IsOutOfMemory(error);
  }
}

absl::Status StatusOf(at::Device device, const c10::Error& error) {
  const std::string what(FirstLine(error.what_without_backtrace()));
  if (IsOutOfMemory(error)) return absl::ResourceExhaustedError(what);
  if (Computes(device)) return absl::InternalError(what);
  absl::Status lost = absl::UnavailableError(
      absl::StrCat(device.str(), " does not compute any more: ", what));
  MarkDeviceLost(lost);
  return lost;
}

}  // namespace

absl::Status CatchDeviceErrors(at::Device device,
                               const std::function<absl::Status()>& work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    return StatusOf(device, error);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory on the host");
  }
}

bool IsDeviceLost(const absl::Status& status) {
  return status.GetPayload(kDeviceLost).has_value();
}

void MarkDeviceLost(absl::Status& status) {
  status.SetPayload(kDeviceLost, absl::Cord());
}

bool IsOutOfMemory(const c10::Error& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) {
    return true;
  }
  const auto* of_device = dynamic_cast<const c10::AcceleratorError*>(&error);
  if (of_device != nullptr) {
    return of_device->get_error_code() == kCudaOutOfMemory;
  }
  for (const absl::string_view words : kMemoryWords) {
    if (absl::StrContains(error.what_without_backtrace(), words)) return true;
  }
  return false;
}

void ReleaseDeviceMemory(at::Device device) {
  if (device.is_cpu()) return;
  // Of the library of our kernels, which a GPU's worker has loaded.
  static const auto workspaces = c10::Dispatcher::singleton().findSchema(
      {"sinkwatch::cuda_release_workspaces", ""});
  try {
    if (workspaces) workspaces->typed<void()>().call();
    c10::getDeviceAllocator(device.type())->emptyCache();
  } catch (const c10::Error&) {
    // The next use of the device says so.
  }
}

}  // namespace sinkwatch::executor
