#include "worker/metrics/massive_dimensions.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "ATen/ops/gather.h"

namespace sinkwatch::metrics {

MassiveEntries MassiveEntriesOf(const at::Tensor& x_BTD,
                                const at::Tensor& bound_B) {
  const at::Tensor size_BTD = x_BTD.abs();
  const auto [most_BD, position_BD] = size_BTD.max(1);
  const at::Tensor value_BD =
      x_BTD.gather(1, position_BD.unsqueeze(1)).squeeze(1);
  return {value_BD.mul(most_BD.gt(bound_B.view({-1, 1}))), position_BD};
}

void MassiveDimensions::Fold(const MassiveEntries& entries) {
  const at::Tensor values = entries.value_BD.to(at::kCPU).contiguous();
  const at::Tensor positions = entries.position_BD.to(at::kCPU).contiguous();
  const int64_t D = values.size(1);
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double value = values.const_data_ptr<float>()[i];
    if (value == 0) continue;
    Sums& sums = dimensions_[i % D];
    ++sums.sequences;
    if (std::fabs(value) <= std::fabs(sums.value)) continue;
    sums.value = value;
    sums.position = positions.const_data_ptr<int64_t>()[i];
  }
  sequences_ += values.size(0);
}

std::vector<MassiveDimension> MassiveDimensions::Finish() const {
  std::vector<MassiveDimension> all;
  for (const auto& [dimension, sums] : dimensions_) {
    MassiveDimension massive;
    massive.dimension = dimension;
    massive.position = sums.position;
    massive.value = sums.value;
    massive.sequence_share =
        static_cast<double>(sums.sequences) / static_cast<double>(sequences_);
    all.push_back(massive);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::fabs(a.value) > std::fabs(b.value);
  });
  if (all.size() > kMax) all.resize(kMax);
  return all;
}

}  // namespace sinkwatch::metrics
