#include "worker/metrics/sink_identity.h"

#include <algorithm>

namespace sinkwatch::metrics {

void SinkIdentity::Fold(const at::Tensor& columns_BHC,
                        const at::Tensor& mass_BHC,
                        const at::Tensor& tokens_BT) {
  const at::Tensor columns = columns_BHC.to(at::kCPU).contiguous();
  const at::Tensor masses = mass_BHC.to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor tokens = tokens_BT.contiguous();
  const int64_t H = columns.size(1), C = columns.size(2), T = tokens.size(1);
  heads_ = H;
  for (int64_t i = 0; i < columns.numel(); ++i) {
    const int64_t column = columns.const_data_ptr<int64_t>()[i];
    if (column < 0) continue;
    const int64_t b = i / (H * C), h = i / C % H;
    const int64_t token = tokens.const_data_ptr<int64_t>()[b * T + column];
    Sums& sums = tokens_[{token, column == 0}];
    sums.mass += masses.const_data_ptr<float>()[i];
    sums.heads.insert(h);
    sums.sequences += sums.last_sequence != sequences_ + b;
    sums.last_sequence = sequences_ + b;
  }
  sequences_ += columns.size(0);
}

std::vector<SinkToken> SinkIdentity::Finish() const {
  std::vector<SinkToken> sinks;
  const double heads = static_cast<double>(heads_);
  const double sequences = static_cast<double>(sequences_);
  for (const auto& [token, sums] : tokens_) {
    SinkToken sink;
    sink.token = token.first;
    sink.at_zero = token.second;
    sink.mass = sums.mass / (heads * sequences);
    sink.head_share = static_cast<double>(sums.heads.size()) / heads;
    sink.sequence_share = static_cast<double>(sums.sequences) / sequences;
    sinks.push_back(sink);
  }
  std::stable_sort(
      sinks.begin(), sinks.end(),
      [](const SinkToken& a, const SinkToken& b) { return a.mass > b.mass; });
  if (sinks.size() > kMax) sinks.resize(kMax);
  return sinks;
}

}  // namespace sinkwatch::metrics
