// B sequences, H query heads, G key/value heads, T tokens, E head width, R rows
// of a block, S columns that some row of the block sees.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ATen/TensorOperators.h"
#include "ATen/ops/abs.h"
#include "ATen/ops/amax.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/clamp.h"
#include "ATen/ops/cumsum.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/exp.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/relu.h"
#include "ATen/ops/repeat_interleave.h"
#include "ATen/ops/where.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "worker/kernels/attention_stats_op.h"

namespace sinkwatch::kernels {
namespace {

// Elements of one block of logits, B*H*R*S: bounds memory whatever T is.
constexpr int64_t kBlockElements = int64_t{1} << 24;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

at::Tensor ExpandHeads(const at::Tensor& x_BGTE, int64_t heads) {
  const int64_t groups = x_BGTE.size(1);
  const at::Tensor x = x_BGTE.to(at::kFloat);
  return groups == heads ? x : x.repeat_interleave(heads / groups, 1);
}

int64_t RowsPerBlock(int64_t batch_heads, int64_t tokens) {
  return std::clamp<int64_t>(
      kBlockElements / std::max<int64_t>(1, batch_heads * tokens), 1, tokens);
}

struct Block {
  at::Tensor logits_BHRS;  // -inf where a row does not see a column
  at::Tensor visible_RS;
  at::Tensor row_R1;     // row numbers
  at::Tensor column_1S;  // column numbers
};

class BlockedStats {
 public:
  BlockedStats(const at::Tensor& q, const at::Tensor& k,
               const std::optional<at::Tensor>& v, double scale, int64_t window,
               bool relu)
      : heads_(q.size(1)),
        tokens_(q.size(2)),
        window_(window),
        relu_(relu),
        q_BHTE_(q.to(at::kFloat) * scale),
        k_BHTE_(ExpandHeads(k, heads_)) {
    if (v.has_value()) v_BHTE_ = ExpandHeads(*v, heads_);
    const auto options = q_BHTE_.options();
    const std::vector<int64_t> shape = {q.size(0), heads_, tokens_};
    for (at::Tensor* tensor :
         {&log_sum_exp_, &sink_logit_, &sink_attention_, &rest_log_sum_exp_,
          &rest_mean_, &previous_, &entropy_, &max_abs_, &row_sum_}) {
      *tensor = at::empty(shape, options);
    }
    column_mass_ = at::zeros(shape, options);
    if (v.has_value()) output_ = at::empty_like(q_BHTE_);
  }

  AttentionStatsTuple Run(at::ScalarType dtype) {
    const int64_t rows = RowsPerBlock(q_BHTE_.size(0) * heads_, tokens_);
    for (int64_t begin = 0; begin < tokens_; begin += rows) {
      FoldRows(begin, std::min(begin + rows, tokens_));
    }
    if (output_.defined()) output_ = output_.to(dtype);
    return {log_sum_exp_, sink_logit_,  sink_attention_, rest_log_sum_exp_,
            rest_mean_,   previous_,    entropy_,        max_abs_,
            row_sum_,     column_mass_, output_};
  }

 private:
  Block Logits(int64_t begin, int64_t end, int64_t first) const {
    Block block;
    const auto integers = q_BHTE_.options().dtype(at::kLong);
    block.row_R1 = at::arange(begin, end, integers).unsqueeze(1);
    block.column_1S = at::arange(first, end, integers).unsqueeze(0);
    block.visible_RS = block.column_1S <= block.row_R1;
    if (window_ > 0) {
      block.visible_RS &= block.column_1S > block.row_R1 - window_;
    }
    block.logits_BHRS =
        at::matmul(q_BHTE_.slice(2, begin, end),
                   k_BHTE_.slice(2, first, end).transpose(-1, -2));
    block.logits_BHRS.masked_fill_(block.visible_RS.logical_not(),
                                   kMinusInfinity);
    return block;
  }

  void FoldRows(int64_t begin, int64_t end) {
    const int64_t first =
        window_ > 0 ? std::max<int64_t>(0, begin - window_ + 1) : 0;
    const Block block = Logits(begin, end, first);
    const at::Tensor seen = at::where(block.visible_RS, block.logits_BHRS, 0);
    const at::Tensor lse = at::logsumexp(block.logits_BHRS, -1);
    log_sum_exp_.slice(2, begin, end).copy_(lse);
    max_abs_.slice(2, begin, end).copy_(seen.abs().amax(-1));

    const at::Tensor weights = Weights(block, lse);
    row_sum_.slice(2, begin, end).copy_(weights.sum(-1));
    FoldEntropy(begin, end, seen, lse, weights);
    FoldSink(begin, end, first, block, weights);
    FoldRest(begin, end, block, seen);
    FoldPrevious(begin, end, block, weights);
    column_mass_.slice(2, first, end)
        .add_(weights.slice(2, begin == 0 ? 1 : 0).sum(2));
    if (output_.defined()) {
      output_.slice(2, begin, end)
          .copy_(at::matmul(weights, v_BHTE_.slice(2, first, end)));
    }
  }

  at::Tensor Weights(const Block& block, const at::Tensor& lse) const {
    if (!relu_) return (block.logits_BHRS - lse.unsqueeze(-1)).exp();
    const at::Tensor positive = at::relu(block.logits_BHRS);
    return positive / (block.row_R1 + 1).to(at::kFloat);
  }

  void FoldEntropy(int64_t begin, int64_t end, const at::Tensor& seen,
                   const at::Tensor& lse, const at::Tensor& weights) {
    at::Tensor rows = entropy_.slice(2, begin, end);
    if (relu_) {
      rows.zero_();
    } else {
      rows.copy_((weights * (lse.unsqueeze(-1) - seen)).sum(-1));
    }
  }

  void FoldSink(int64_t begin, int64_t end, int64_t first, const Block& block,
                const at::Tensor& weights) {
    at::Tensor logit = sink_logit_.slice(2, begin, end);
    at::Tensor attention = sink_attention_.slice(2, begin, end);
    if (first > 0) {
      logit.zero_();
      attention.zero_();
      return;
    }
    const at::Tensor sees = block.visible_RS.select(-1, 0);
    logit.copy_(at::where(sees, block.logits_BHRS.select(-1, 0), 0));
    attention.copy_(weights.select(-1, 0));
  }

  void FoldRest(int64_t begin, int64_t end, const Block& block,
                const at::Tensor& seen) {
    const at::Tensor rest = block.visible_RS & (block.column_1S >= 1);
    rest_log_sum_exp_.slice(2, begin, end)
        .copy_(at::logsumexp(at::where(rest, block.logits_BHRS, kMinusInfinity),
                             -1));
    const at::Tensor between = rest & (block.column_1S < block.row_R1);
    const at::Tensor count = between.sum(-1).clamp_min(1).to(at::kFloat);
    rest_mean_.slice(2, begin, end)
        .copy_(at::where(between, seen, 0).sum(-1) / count);
  }

  void FoldPrevious(int64_t begin, int64_t end, const Block& block,
                    const at::Tensor& weights) {
    const at::Tensor previous =
        block.visible_RS & (block.column_1S == block.row_R1 - 1);
    previous_.slice(2, begin, end)
        .copy_(at::where(previous, weights, 0).sum(-1));
  }

  const int64_t heads_;
  const int64_t tokens_;
  const int64_t window_;
  const bool relu_;
  const at::Tensor q_BHTE_;  // times scale
  const at::Tensor k_BHTE_;
  at::Tensor v_BHTE_;
  at::Tensor log_sum_exp_, sink_logit_, sink_attention_, rest_log_sum_exp_,
      rest_mean_, previous_, entropy_, max_abs_, row_sum_, column_mass_,
      output_;
};

}  // namespace

AttentionStatsTuple AttentionStatsBlocked(const at::Tensor& q_BHTE,
                                          const at::Tensor& k_BGTE,
                                          const std::optional<at::Tensor>& v,
                                          double scale, int64_t window,
                                          bool relu) {
  return BlockedStats(q_BHTE, k_BGTE, v, scale, window, relu)
      .Run(q_BHTE.scalar_type());
}

}  // namespace sinkwatch::kernels
