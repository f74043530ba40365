// Digests of weights that are on a card already: their bytes need not go
// through a core twice.
#include <algorithm>

#include "ATen/core/Tensor.h"
#include "c10/core/DeviceGuard.h"
#include "torch/library.h"
#include "worker/kernels/cuda/device_call.h"
#include "worker/kernels/cuda/digest_kernels.h"

namespace sinkwatch::kernels::cuda {
namespace {

// Adds the hashes of the rows of each tensor, dense, whose index in its whole
// is `first` and up, to the sum [2] of the tensor's number in `sums` [N,2]
// int64.
void AddRowHashes(at::Tensor sums, at::TensorList tensors,
                  at::IntArrayRef first) {
  TORCH_CHECK(sums.is_cuda() && sums.is_contiguous() && sums.dim() == 2 &&
                  sums.size(1) == 2 && sums.scalar_type() == at::kLong &&
                  first.size() == tensors.size() &&
                  static_cast<size_t>(sums.size(0)) == tensors.size(),
              "add_row_hashes_: sums");
  const c10::DeviceGuard guard(sums.device());
  RowHashCall call;
  call.sums = static_cast<unsigned long long*>(sums.mutable_data_ptr());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor& rows = tensors[i];
    HashedRows& hashed = call.tensors[call.count++];
    hashed.rows = rows.const_data_ptr();
    hashed.first = first[i];
    hashed.count = rows.size(0);
    hashed.row_bytes = static_cast<int64_t>(rows.nbytes()) /
                       std::max<int64_t>(1, rows.size(0));
    hashed.sum = static_cast<int64_t>(i);
    TORCH_CHECK(rows.is_contiguous() && rows.device() == sums.device() &&
                    IsHashedRow(hashed.row_bytes) &&
                    reinterpret_cast<uintptr_t>(hashed.rows) % 8 == 0,
                "add_row_hashes_: rows of ", hashed.row_bytes, " bytes");
    if (call.count < kMaxHashedTensors && i + 1 < tensors.size()) continue;
    CheckLaunch("add_row_hashes_",
                LaunchRowHash(call, StreamOf(sums.device())));
    call.count = 0;
  }
}

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def(
      "add_row_hashes_(Tensor(a!) sums, Tensor[] tensors, int[] first) -> ()");
}

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("add_row_hashes_", sinkwatch::kernels::cuda::AddRowHashes);
}
