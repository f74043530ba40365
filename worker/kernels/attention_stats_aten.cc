// The implementation for devices that have no own one: the definitions of
// attention_stats.h, written with ATen operators over blocks of rows.
#include <algorithm>
#include <limits>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/abs.h"
#include "ATen/ops/amax.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/exp.h"
#include "ATen/ops/full_like.h"
#include "ATen/ops/gather.h"
#include "ATen/ops/logaddexp.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/relu.h"
#include "ATen/ops/tanh.h"
#include "ATen/ops/zeros.h"
#include "worker/kernels/attention_stats.h"
#include "worker/kernels/attention_stats_operator.h"

// Legend: as attention_stats.h; R rows and C columns of the block, S query
// heads that share a key/value head (H = G*S).
namespace sinkwatch::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kMaxBlockLogits = int64_t{1} << 22;
constexpr int64_t kMinBlockRows = 16;

// Rows [row_begin, row_end) and the columns that any of them sees.
struct RowBlock {
  RowBlock(int64_t row_begin, int64_t row_end, int64_t window,
           at::Device device)
      : row_begin(row_begin),
        num_rows(row_end - row_begin),
        column_begin(window > 0 ? std::max<int64_t>(0, row_begin - window + 1)
                                : 0),
        num_columns(row_end - column_begin) {
    const auto options = at::TensorOptions(at::kLong).device(device);
    row_R1 = at::arange(row_begin, row_end, options).unsqueeze(-1);
    column_C = at::arange(column_begin, row_end, options);
    hidden_RC = column_C > row_R1;
    if (window > 0) hidden_RC |= column_C <= row_R1 - window;
  }

  bool HasColumnZero() const { return column_begin == 0; }
  at::Tensor Rows(const at::Tensor& x_BHT) const {
    return x_BHT.narrow(2, row_begin, num_rows);
  }
  at::Tensor Columns(const at::Tensor& x_BHTX) const {
    return x_BHTX.narrow(2, column_begin, num_columns);
  }

  int64_t row_begin, num_rows, column_begin, num_columns;
  at::Tensor row_R1, column_C, hidden_RC;
};

// a [B,H,R,X] times b [B,G,X,Y], head by head, in float32.
at::Tensor MatmulByHead(const at::Tensor& a, const at::Tensor& b) {
  const int64_t shared = a.size(1) / b.size(1);
  const at::Tensor a_grouped =
      a.to(at::kFloat)
          .reshape({a.size(0), b.size(1), shared * a.size(2), a.size(3)});
  return at::matmul(a_grouped, b.to(at::kFloat))
      .reshape({a.size(0), a.size(1), a.size(2), b.size(3)});
}

// Statistics of the logits themselves. `rows` [kNumRowStats,B,H,R];
// `learned_sinks_H` may be undefined.
void FillLogitStats(const at::Tensor& logit_BHRC, const RowBlock& block,
                    const at::Tensor& learned_sinks_H, at::Tensor& rows) {
  const at::Tensor visible_BHRC =
      logit_BHRC.masked_fill(block.hidden_RC, -kInfinity);
  at::Tensor sink_BHR = at::full_like(rows[kLogSumExp], -kInfinity);
  at::Tensor rest_BHRC = visible_BHRC;
  if (block.HasColumnZero()) {
    sink_BHR = visible_BHRC.select(-1, 0);
    rest_BHRC = visible_BHRC.narrow(-1, 1, block.num_columns - 1);
    rows[kSinkLogit].copy_(
        logit_BHRC.select(-1, 0).masked_fill(block.hidden_RC.select(-1, 0), 0));
  }
  if (rest_BHRC.size(-1) == 0) {
    rows[kRestLogSumExp].fill_(-kInfinity);
  } else {
    rows[kRestLogSumExp].copy_(at::logsumexp(rest_BHRC, {-1}));
  }
  at::Tensor lse_BHR = at::logaddexp(sink_BHR, rows[kRestLogSumExp]);
  if (learned_sinks_H.defined()) {
    lse_BHR = at::logaddexp(lse_BHR, learned_sinks_H.view({-1, 1}));
  }
  rows[kLogSumExp].copy_(lse_BHR);

  const at::Tensor not_mean_RC = block.hidden_RC | (block.column_C == 0) |
                                 (block.column_C == block.row_R1);
  const at::Tensor count_R =
      not_mean_RC.logical_not().sum(-1).clamp_min(1).to(at::kFloat);
  rows[kRestMeanLogit].copy_(logit_BHRC.masked_fill(not_mean_RC, 0).sum(-1) /
                             count_R);
  rows[kMaxAbsLogit].copy_(
      at::abs(logit_BHRC).masked_fill(block.hidden_RC, 0).amax(-1));
}

at::Tensor Attention(const at::Tensor& logit_BHRC, const RowBlock& block,
                     Normalisation normalisation, const at::Tensor& lse_BHR) {
  const at::Tensor attention_BHRC =
      normalisation == Normalisation::kRelu
          ? at::relu(logit_BHRC) / (block.row_R1 + 1)
          : at::exp(logit_BHRC - lse_BHR.unsqueeze(-1));
  return attention_BHRC.masked_fill(block.hidden_RC, 0);
}

// Statistics of the attention pattern. `rows` has its log_sum_exp already.
void FillAttentionStats(const at::Tensor& attention_BHRC, const RowBlock& block,
                        at::Tensor& rows) {
  if (block.HasColumnZero()) {
    rows[kSinkAttention].copy_(attention_BHRC.select(-1, 0));
  }
  const at::Tensor previous_R1 = block.row_R1 - 1 - block.column_begin;
  const at::Tensor previous_BHR =
      at::gather(attention_BHRC, -1,
                 previous_R1.clamp_min(0).expand({attention_BHRC.size(0),
                                                  attention_BHRC.size(1),
                                                  block.num_rows, 1}))
          .squeeze(-1);
  rows[kPreviousAttention].copy_(
      previous_BHR.masked_fill(previous_R1.squeeze(-1) < 0, 0));
  rows[kRowSum].copy_(attention_BHRC.sum(-1));
}

// Of the keys and, if there is one, of the learned sink. `rows` has its
// log_sum_exp already.
void FillEntropy(const at::Tensor& logit_BHRC, const at::Tensor& attention_BHRC,
                 const RowBlock& block, const at::Tensor& learned_sinks_H,
                 at::Tensor& rows) {
  const at::Tensor lse_BHR = rows[kLogSumExp];
  const at::Tensor surprise_BHRC =
      (lse_BHR.unsqueeze(-1) - logit_BHRC).masked_fill(block.hidden_RC, 0);
  rows[kEntropy].copy_((attention_BHRC * surprise_BHRC).sum(-1));
  if (!learned_sinks_H.defined()) return;
  const at::Tensor lost_BHR = lse_BHR - learned_sinks_H.view({-1, 1});
  rows[kEntropy].add_(lost_BHR * at::exp(-lost_BHR));
}

void AddColumnMass(const at::Tensor& attention_BHRC, const RowBlock& block,
                   at::Tensor& columns_BHT) {
  const int64_t skip = block.row_begin == 0 ? 1 : 0;
  block.Columns(columns_BHT)
      .add_(attention_BHRC.narrow(2, skip, block.num_rows - skip).sum(2));
}

// Some whole sequences; the results are views that are filled.
struct Sequences {
  at::Tensor q_BHTE, k_BGTE, v_BGTE, learned_sinks_H;
  at::Tensor rows, columns_BHT, output_BHTE;
};

void RunBlock(Sequences& sequences, const RowBlock& block, double scale,
              double soft_cap, Normalisation normalisation) {
  const at::Tensor logit_BHRC = SoftCapped(
      MatmulByHead(block.Rows(sequences.q_BHTE),
                   block.Columns(sequences.k_BGTE).transpose(-2, -1)) *
          scale,
      soft_cap);
  at::Tensor rows = sequences.rows.narrow(3, block.row_begin, block.num_rows);
  FillLogitStats(logit_BHRC, block, sequences.learned_sinks_H, rows);
  const at::Tensor attention_BHRC =
      Attention(logit_BHRC, block, normalisation, rows[kLogSumExp]);
  FillAttentionStats(attention_BHRC, block, rows);
  if (normalisation == Normalisation::kSoftmax) {
    FillEntropy(logit_BHRC, attention_BHRC, block, sequences.learned_sinks_H,
                rows);
  }
  AddColumnMass(attention_BHRC, block, sequences.columns_BHT);
  if (sequences.v_BGTE.defined()) {
    block.Rows(sequences.output_BHTE)
        .copy_(MatmulByHead(attention_BHRC, block.Columns(sequences.v_BGTE)));
  }
}

}  // namespace

at::Tensor SoftCapped(const at::Tensor& logits, double cap) {
  return cap > 0 ? at::tanh(logits / cap) * cap : logits;
}

OperatorResult AttentionStatsByRowBlocks(
    const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
    const std::optional<at::Tensor>& v,
    const std::optional<at::Tensor>& learned_sinks, double scale,
    int64_t window, int64_t normalisation) {
  return SoftCappedAttentionStats(q_BHTE, k_BGTE, v, learned_sinks, scale,
                                  window, normalisation, /*soft_cap=*/0);
}

OperatorResult SoftCappedAttentionStats(
    const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
    const std::optional<at::Tensor>& v,
    const std::optional<at::Tensor>& learned_sinks, double scale,
    int64_t window, int64_t normalisation, double soft_cap) {
  const at::NoTF32Guard no_tf32;
  const int64_t batch = q_BHTE.size(0);
  const int64_t heads = q_BHTE.size(1);
  const int64_t tokens = q_BHTE.size(2);
  const auto options = q_BHTE.options().dtype(at::kFloat);
  at::Tensor rows = at::zeros({kNumRowStats, batch, heads, tokens}, options);
  at::Tensor columns_BHT = at::zeros({batch, heads, tokens}, options);
  at::Tensor output =
      v ? at::empty(q_BHTE.sizes(), options) : at::empty({0}, options);

  const int64_t block_rows =
      std::clamp(kMaxBlockLogits / (heads * tokens),
                 std::min(kMinBlockRows, tokens), tokens);
  const int64_t block_sequences = std::clamp(
      kMaxBlockLogits / (heads * tokens * block_rows), int64_t{1}, batch);
  for (int64_t first = 0; first < batch; first += block_sequences) {
    const int64_t count = std::min(block_sequences, batch - first);
    const auto part = [&](const at::Tensor& x) {
      return x.narrow(0, first, count);
    };
    Sequences sequences = {part(q_BHTE),
                           part(k_BGTE),
                           v ? part(*v) : at::Tensor(),
                           learned_sinks.value_or(at::Tensor()),
                           rows.narrow(1, first, count),
                           part(columns_BHT),
                           v ? part(output) : at::Tensor()};
    for (int64_t row = 0; row < tokens; row += block_rows) {
      const RowBlock block(row, std::min(row + block_rows, tokens), window,
                           q_BHTE.device());
      RunBlock(sequences, block, scale, soft_cap,
               static_cast<Normalisation>(normalisation));
    }
  }
  return {rows, columns_BHT, output};
}

}  // namespace sinkwatch::kernels
