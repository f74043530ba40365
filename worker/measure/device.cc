#include "worker/measure/device.h"

#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "ATen/Context.h"
#include "ATen/Parallel.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/detail/CUDAHooksInterface.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "c10/util/Exception.h"
#include "worker/executor/device_errors.h"

namespace sinkwatch::worker {
namespace {

// Folder of the LibTorch that this program was linked to, with a slash.
std::string LibTorchFolder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&at::globalContext), &info) == 0) {
    return "";
  }
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

// Folder of this program, with a slash.
std::string ProgramFolder() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string program(path, std::max<ssize_t>(0, length));
  return program.substr(0, program.rfind('/') + 1);
}

// The first of the libraries that is there. A name without a folder is looked
// for on the loader's path.
absl::Status LoadOneOf(const std::vector<std::string>& paths,
                       const std::string& hint) {
  std::string errors;
  for (const std::string& path : paths) {
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) {
      return absl::OkStatus();
    }
    absl::StrAppend(&errors, errors.empty() ? "" : "; ", dlerror());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("CUDA cannot be used: ", errors, " (", hint, ")"));
}

// Loading registers CUDA's operators, and ours, with the dispatcher.
absl::Status LoadCuda() {
  const std::string torch = "libtorch_cuda.so", ours = "libsinkwatch_cuda.so";
  absl::Status status =
      LoadOneOf({LibTorchFolder() + torch, torch},
                "deploy/setup.sh --cuda installs the libraries it needs");
  if (!status.ok()) return status;
  const std::string folder = ProgramFolder();
  return LoadOneOf({folder + ours, folder + "kernels/cuda/" + ours, ours},
                   "after deploy/setup.sh --cuda it is built with the worker");
}

absl::Status CheckDevice(c10::Device device) {
  const int count = at::detail::getCUDAHooks().deviceCount();
  if (count == 0) {
    return absl::FailedPreconditionError(
        "CUDA cannot be used: no card is visible (nvidia-smi lists the cards "
        "of this machine, CUDA_VISIBLE_DEVICES hides them)");
  }
  if (count > (device.has_index() ? device.index() : 0)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "CUDA cannot be used: ", count,
      count == 1 ? " card is visible and " : " cards are visible and ",
      device.str(), " was asked for"));
}

absl::StatusOr<c10::Device> OpenCuda(const std::string& name) {
  try {
    const c10::Device device(name);
    absl::Status status = LoadCuda();
    if (status.ok()) status = CheckDevice(device);
    if (!status.ok()) return status;
    return device.has_index() ? device : c10::Device(c10::kCUDA, 0);
  } catch (const c10::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device \"", name, "\": ", error.what_without_backtrace()));
  }
}

}  // namespace

absl::StatusOr<c10::Device> OpenDevice(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  if (name == "auto") {
    const auto cuda = OpenCuda("cuda");
    return cuda.ok() ? *cuda : c10::Device(c10::kCPU);
  }
  if (name == "cuda" || absl::StartsWith(name, "cuda:")) return OpenCuda(name);
  return absl::InvalidArgumentError(
      absl::StrCat("device \"", name, "\" is none of auto, cpu, cuda, cuda:N"));
}

std::string DeviceTitle(c10::Device device) {
  if (device.is_cpu()) return device.str();
  static const auto card_name =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::cuda_card_name", "")
          .typed<std::string(int64_t)>();
  return absl::StrCat(device.str(), " (", card_name.call(device.index()), ")");
}

absl::Status BoundDeviceMemory(c10::Device device, int64_t bytes) {
  if (device.is_cpu()) return absl::OkStatus();
  return executor::CatchDeviceErrors(device, [&] {
    at::globalContext().lazyInitDevice(device.type());
    static const auto bound =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("sinkwatch::cuda_bound_memory", "")
            .typed<void(int64_t, int64_t)>();
    bound.call(device.index(), bytes);
    return absl::OkStatus();
  });
}

int64_t DefaultTokensPerBatch(c10::Device device) {
  return device.is_cpu() ? 8192 : 16384;
}

absl::StatusOr<int> CountGpus() {
  const auto first = OpenCuda("cuda");
  if (!first.ok()) return first.status();
  return at::detail::getCUDAHooks().deviceCount();
}

void UseThreads(int count) {
  if (count > 0) at::set_num_threads(count);
}

}  // namespace sinkwatch::worker
