#include "worker/measure/compute_dtype.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::worker {

absl::StatusOr<at::ScalarType> ParseComputeDtype(const std::string& name) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    if (name == ComputeDtypeName(dtype)) return dtype;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dtype \"", name, "\" is none of float32, bfloat16"));
}

std::string ComputeDtypeName(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? "bfloat16" : "float32";
}

}  // namespace sinkwatch::worker
