#include "worker/measure/device.h"

#include <dlfcn.h>

#include "ATen/Context.h"
#include "ATen/Parallel.h"
#include "ATen/detail/CUDAHooksInterface.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "c10/util/Exception.h"

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

// Loading registers CUDA's operators with the dispatcher.
absl::Status LoadCuda() {
  const char* const name = "libtorch_cuda.so";
  for (const std::string& path : {LibTorchFolder() + name, std::string(name)}) {
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) {
      return absl::OkStatus();
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "CUDA cannot be used: ", dlerror(),
      " (deploy/setup.sh --cuda installs the libraries it needs)"));
}

absl::Status CheckDevice(c10::Device device) {
  if (!at::globalContext().hasCUDA()) {
    return absl::FailedPreconditionError(
        "CUDA cannot be used: this LibTorch has no CUDA");
  }
  const int count = at::detail::getCUDAHooks().deviceCount();
  if (count > (device.has_index() ? device.index() : 0)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("CUDA cannot be used: ", count, " devices are there and ",
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

void UseThreads(int count) {
  if (count > 0) at::set_num_threads(count);
}

}  // namespace sinkwatch::worker
