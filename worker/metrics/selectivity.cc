#include "worker/metrics/selectivity.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/tanh.h"
#include "absl/strings/str_cat.h"
#include "worker/metrics/side_metrics.h"

namespace sinkwatch::metrics {
namespace {

constexpr uint64_t kSeed = 20260602;
constexpr int64_t kWindow = 8;  // of the local target, before t
constexpr int64_t kMaxOthers = 50;
constexpr int64_t kFirstId = 100, kEndId = 10000;

// Of 0 to n - 1; not std::uniform_int_distribution, which is another for each
// library.
int64_t Draw(std::mt19937_64& random, int64_t n) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
}

// An id that is not `a`.
int64_t DrawId(std::mt19937_64& random, int64_t first, int64_t end, int64_t a) {
  int64_t id = a;
  while (id == a) id = first + Draw(random, end - first);
  return id;
}

// `wanted` of the positions 1 to end - 1 but p and p + 1, in random order.
std::vector<int64_t> DrawOthers(std::mt19937_64& random, int64_t end, int64_t p,
                                int64_t wanted) {
  std::vector<int64_t> pool;
  for (int64_t k = 1; k < end; ++k) {
    if (k != p && k != p + 1) pool.push_back(k);
  }
  for (int64_t i = 0; i < wanted; ++i) {
    std::swap(pool[i],
              pool[i + Draw(random, static_cast<int64_t>(pool.size()) - i)]);
  }
  pool.resize(wanted);
  return pool;
}

// Mean of A[b,h,k] over the positions k_BO of each sequence: [B,H].
at::Tensor MeanAt(const at::Tensor& row_BHT, const at::Tensor& k_BO) {
  const at::Tensor index_BHO =
      k_BO.to(row_BHT.device()).unsqueeze(1).expand({-1, row_BHT.size(1), -1});
  return row_BHT.gather(2, index_BHO).mean(-1);
}

MetricVector VectorOf(const std::string& metric, int layer) {
  MetricVector vector;
  vector.domain = kSyntheticDomain;
  vector.metric = metric;
  vector.layer = layer;
  return vector;
}

void AppendIfDefined(const Accumulator& sums, MetricVector vector,
                     std::vector<MetricVector>& vectors) {
  vector.count = sums.count();
  for (int64_t h = 0; h < sums.values(); ++h) {
    const std::optional<Estimate> estimate = sums.Finish(h);
    if (!estimate) return;
    vector.values.push_back(static_cast<float>(estimate->value));
    vector.standard_error.push_back(
        static_cast<float>(estimate->standard_error));
  }
  vectors.push_back(std::move(vector));
}

// Of each target, the share of heads that have its class: the largest of a
// head's selectivities, where it reaches the bound.
void AppendShares(const std::vector<MetricVector>& selectivities, int layer,
                  std::vector<MetricVector>& vectors) {
  const size_t heads = selectivities[0].values.size();
  std::vector<int64_t> in_class(selectivities.size());
  for (size_t h = 0; h < heads; ++h) {
    const auto best =
        std::max_element(selectivities.begin(), selectivities.end(),
                         [&](const MetricVector& a, const MetricVector& b) {
                           return a.values[h] < b.values[h];
                         });
    if (best->values[h] < kSelectivityOfClass) continue;
    ++in_class[best - selectivities.begin()];
  }
  for (size_t c = 0; c < selectivities.size(); ++c) {
    MetricVector share =
        VectorOf(absl::StrCat(selectivities[c].metric, kShareSuffix), layer);
    share.count = static_cast<int64_t>(heads);
    share.values = {static_cast<float>(in_class[c]) /
                    static_cast<float>(heads)};
    share.standard_error = {std::numeric_limits<float>::quiet_NaN()};
    vectors.push_back(std::move(share));
  }
}

}  // namespace

SyntheticSequences MakeSyntheticSequences(int64_t sequences, int64_t tokens,
                                          int64_t vocabulary) {
  // Of a small vocabulary the same share is left out at its start.
  const int64_t end = std::min(kEndId, vocabulary);
  const int64_t first = std::min(kFirstId, end / kFirstId);
  // Targets are below this: the local window and t are behind it.
  const int64_t free = tokens - 1 - kWindow;
  const int64_t others = std::min(kMaxOthers, free - 4);
  SyntheticSequences made;
  made.tokens_NT = at::empty({sequences, tokens}, at::kLong);
  made.first_N = at::empty({sequences}, at::kLong);
  made.null_N = at::empty({sequences}, at::kLong);
  made.others_NO = at::empty({sequences, others}, at::kLong);
  std::mt19937_64 random(kSeed);
  for (int64_t n = 0; n < sequences; ++n) {
    const int64_t a = first + Draw(random, end - first);
    const int64_t p = 1 + Draw(random, free - 2);
    int64_t* const ids = made.tokens_NT[n].data_ptr<int64_t>();
    for (int64_t t = 0; t < tokens; ++t) ids[t] = DrawId(random, first, end, a);
    ids[p] = ids[tokens - 1] = a;
    made.first_N.data_ptr<int64_t>()[n] = p;
    const std::vector<int64_t> picks = DrawOthers(random, free, p, others + 1);
    std::copy(picks.begin() + 1, picks.end(),
              made.others_NO[n].data_ptr<int64_t>());
    made.null_N.data_ptr<int64_t>()[n] = picks[0];
  }
  return made;
}

at::Tensor LastRowOfAttention(const LayerBatch& batch) {
  const int64_t B = batch.q_BHTE.size(0), H = batch.q_BHTE.size(1),
                T = batch.q_BHTE.size(2), E = batch.q_BHTE.size(3),
                G = batch.k_BGTE.size(1);
  const kernels::AttentionOptions& options = batch.attention;
  const at::Tensor q_BGNE =
      batch.q_BHTE.select(2, T - 1).to(at::kFloat).reshape({B, G, H / G, E});
  const at::Tensor k_BGET = batch.k_BGTE.to(at::kFloat).transpose(2, 3);
  at::Tensor s_BHT =
      at::matmul(q_BGNE, k_BGET).reshape({B, H, T}).mul(options.scale);
  if (options.soft_cap > 0) {
    s_BHT = at::tanh(s_BHT / options.soft_cap) * options.soft_cap;
  }
  const int64_t hidden =
      options.window > 0 ? std::max<int64_t>(0, T - options.window) : 0;
  if (options.normalisation == kernels::Normalisation::kRelu) {
    s_BHT = s_BHT.clamp_min(0).div(static_cast<double>(T));
    s_BHT.slice(2, 0, hidden).zero_();
    return s_BHT;
  }
  s_BHT.slice(2, 0, hidden).fill_(-std::numeric_limits<float>::infinity());
  if (!options.learned_sinks_H.defined()) return at::softmax(s_BHT, -1);
  const at::Tensor sink_BH1 =
      options.learned_sinks_H.to(at::kFloat).view({1, H, 1}).expand({B, H, 1});
  return at::softmax(at::cat({s_BHT, sink_BH1}, -1), -1).slice(2, 0, T);
}

void Selectivity::Fold(const LayerBatch& batch) {
  const at::Tensor row_BHT = LastRowOfAttention(batch);
  const int64_t B = row_BHT.size(0), H = row_BHT.size(1), T = row_BHT.size(2);
  const int64_t begin = folded_;
  folded_ += B;
  const auto mine = [&](const at::Tensor& of_all) {
    return of_all.slice(0, begin, begin + B);
  };
  const at::Tensor first_B1 = mine(sequences_.first_N).unsqueeze(1);
  const at::Tensor window_BW =
      at::arange(T - 1 - kWindow, T - 1).unsqueeze(0).expand({B, kWindow});
  // In the order of kSelectivityTargets, then the null.
  const at::Tensor targets_BHC =
      at::stack({MeanAt(row_BHT, first_B1 + 1), row_BHT.select(2, T - 2),
                 MeanAt(row_BHT, first_B1), row_BHT.select(2, 0),
                 row_BHT.select(2, T - 1), MeanAt(row_BHT, window_BW),
                 MeanAt(row_BHT, mine(sequences_.null_N).unsqueeze(1))},
                -1)
          .to(at::kCPU, at::kDouble)
          .contiguous();
  const at::Tensor others_BH = MeanAt(row_BHT, mine(sequences_.others_NO))
                                   .to(at::kCPU, at::kDouble)
                                   .contiguous();
  const int64_t C = targets_BHC.size(2);
  ratios_.resize(C, Accumulator(Reduction::kRatio, H));
  masses_.resize(C - 1, Accumulator(Reduction::kMean, H));
  for (int64_t i = 0; i < targets_BHC.numel(); ++i) {
    const int64_t h = i / C % H, c = i % C;
    const double mass = targets_BHC.const_data_ptr<double>()[i];
    ratios_[c].Add(h, {mass, 1, others_BH.const_data_ptr<double>()[i / C], 1});
    if (c < C - 1) masses_[c].Add(h, {mass, 1});
  }
}

std::vector<MetricVector> Selectivity::Finish(int layer) const {
  std::vector<MetricVector> vectors;
  if (folded_ == 0) return vectors;
  constexpr size_t kTargets = std::size(kSelectivityTargets);
  const auto name = [](const char* middle, const char* last) {
    return absl::StrCat(kSelectivity, middle, last);
  };
  for (size_t c = 0; c < kTargets; ++c) {
    AppendIfDefined(ratios_[c],
                    VectorOf(name("", kSelectivityTargets[c]), layer), vectors);
  }
  const std::vector<MetricVector> selectivities = vectors;
  AppendIfDefined(ratios_[kTargets], VectorOf(name("", "null"), layer),
                  vectors);
  for (size_t c = 0; c < kTargets; ++c) {
    AppendIfDefined(masses_[c],
                    VectorOf(name("mass_", kSelectivityTargets[c]), layer),
                    vectors);
  }
  if (selectivities.size() == kTargets) {
    AppendShares(selectivities, layer, vectors);
  }
  return vectors;
}

}  // namespace sinkwatch::metrics
