#include "worker/metrics/row_means.h"

#include "ATen/ops/bmm.h"
#include "worker/kernels/row_fold.h"

namespace sinkwatch::metrics {

void RowMeans::Fold(const at::Tensor& values_BR,
                    const at::Tensor& row_classes_BT) {
  const int64_t rows = values_BR.size(1);
  const at::Tensor groups_BRC = kernels::RowGroups(
      row_classes_BT.defined() ? row_classes_BT.narrow(1, 0, rows)
                               : row_classes_BT,
      groups() - 1, values_BR.size(0), rows, values_BR.device());
  const at::Tensor values_B1R = values_BR.to(at::kDouble).unsqueeze(1);
  const at::Tensor sum_BC =
      at::bmm(values_B1R, groups_BRC).squeeze(1).to(at::kCPU).contiguous();
  const at::Tensor rows_BC = groups_BRC.sum(1).to(at::kCPU).contiguous();
  const double* const sum = sum_BC.const_data_ptr<double>();
  const double* const count = rows_BC.const_data_ptr<double>();
  for (int64_t i = 0; i < sum_BC.numel(); ++i) {
    means_[i % sum_BC.size(1)].Add(0, {sum[i], count[i]});
  }
}

}  // namespace sinkwatch::metrics
