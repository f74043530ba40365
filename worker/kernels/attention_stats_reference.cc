#include "worker/kernels/attention_stats_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ATen/TensorAccessor.h"
#include "ATen/ops/zeros.h"

namespace sinkwatch::kernels {
namespace {

using Array4 = at::TensorAccessor<double, 4>;

// One row of the pattern: its visible columns and what belongs to each.
struct Row {
  int64_t first_column;           // the visible columns are first_column..t
  std::vector<double> logit;      // [t - first_column + 1]
  std::vector<double> attention;  // the same length
};

Row ComputeRow(const Array4& q, const Array4& k, int64_t b, int64_t h,
               int64_t t, const AttentionOptions& options) {
  const int64_t g = h * k.size(1) / q.size(1);
  Row row;
  row.first_column =
      options.window > 0 ? std::max<int64_t>(0, t - options.window + 1) : 0;
  for (int64_t column = row.first_column; column <= t; ++column) {
    double dot = 0;
    for (int64_t e = 0; e < q.size(3); ++e) {
      dot += q[b][h][t][e] * k[b][g][column][e];
    }
    const double logit = options.scale * dot, cap = options.soft_cap;
    row.logit.push_back(cap > 0 ? cap * std::tanh(logit / cap) : logit);
  }
  return row;
}

double LogSumExp(const double* begin, const double* end) {
  if (begin == end) return -std::numeric_limits<double>::infinity();
  const double largest = *std::max_element(begin, end);
  double sum = 0;
  for (const double* x = begin; x != end; ++x) sum += std::exp(*x - largest);
  return largest + std::log(sum);
}

void Normalise(int64_t t, Normalisation normalisation, double log_sum_exp,
               Row* row) {
  for (const double logit : row->logit) {
    row->attention.push_back(normalisation == Normalisation::kRelu
                                 ? std::max(logit, 0.0) / (t + 1)
                                 : std::exp(logit - log_sum_exp));
  }
}

double RestMeanLogit(const Row& row, int64_t t) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t column = std::max<int64_t>(1, row.first_column); column < t;
       ++column) {
    sum += row.logit[column - row.first_column];
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

AttentionStats ZeroStats(const at::Tensor& q_BHTE, bool has_value) {
  const auto zeros = [&] {
    return at::zeros({q_BHTE.size(0), q_BHTE.size(1), q_BHTE.size(2)},
                     at::kDouble);
  };
  AttentionStats stats = {zeros(), zeros(), zeros(),     zeros(),
                          zeros(), zeros(), zeros(),     zeros(),
                          zeros(), zeros(), at::Tensor()};
  if (has_value) stats.output = at::zeros(q_BHTE.sizes(), at::kDouble);
  return stats;
}

double* At(at::Tensor& x_BHT, int64_t b, int64_t h, int64_t t) {
  return x_BHT.data_ptr<double>() + (b * x_BHT.size(1) + h) * x_BHT.size(2) + t;
}

// Softmax's denominator: the visible keys' and, if there is one, the head's
// learned sink.
double LogDenominator(const Row& row, int64_t h,
                      const AttentionOptions& options) {
  std::vector<double> logits = row.logit;
  if (options.learned_sinks_H.defined()) {
    logits.push_back(options.learned_sinks_H[h].item<double>());
  }
  return LogSumExp(logits.data(), logits.data() + logits.size());
}

void WriteRow(const Row& row, int64_t b, int64_t h, int64_t t,
              const AttentionOptions& options, AttentionStats* stats) {
  const bool sees_sink = row.first_column == 0;
  const double* logits = row.logit.data();
  const double* end = logits + row.logit.size();
  if (sees_sink) {
    *At(stats->sink_logit, b, h, t) = row.logit[0];
    *At(stats->sink_attention, b, h, t) = row.attention[0];
  }
  *At(stats->log_sum_exp, b, h, t) = LogDenominator(row, h, options);
  *At(stats->rest_log_sum_exp, b, h, t) =
      LogSumExp(logits + (sees_sink ? 1 : 0), end);
  *At(stats->rest_mean_logit, b, h, t) = RestMeanLogit(row, t);
  if (row.attention.size() > 1) {
    *At(stats->previous_attention, b, h, t) = *(row.attention.end() - 2);
  }
  double entropy = 0, max_abs_logit = 0, row_sum = 0;
  for (size_t i = 0; i < row.attention.size(); ++i) {
    const double a = row.attention[i];
    row_sum += a;
    if (a > 0) entropy -= a * std::log(a);
    max_abs_logit = std::max(max_abs_logit, std::fabs(row.logit[i]));
    if (t >= 1) *At(stats->column_mass, b, h, row.first_column + i) += a;
  }
  *At(stats->row_sum, b, h, t) = row_sum;
  *At(stats->max_abs_logit, b, h, t) = max_abs_logit;
  if (options.learned_sinks_H.defined()) {
    const double surprise = *At(stats->log_sum_exp, b, h, t) -
                            options.learned_sinks_H[h].item<double>();
    entropy += surprise * std::exp(-surprise);
  }
  if (options.normalisation == Normalisation::kSoftmax) {
    *At(stats->entropy, b, h, t) = entropy;
  }
}

void WriteOutput(const Row& row, const Array4& v, int64_t b, int64_t h,
                 int64_t t, at::Tensor* output_BHTE) {
  Array4 output = output_BHTE->accessor<double, 4>();
  const int64_t g = h * v.size(1) / output.size(1);
  for (size_t i = 0; i < row.attention.size(); ++i) {
    for (int64_t e = 0; e < v.size(3); ++e) {
      output[b][h][t][e] += row.attention[i] * v[b][g][row.first_column + i][e];
    }
  }
}

}  // namespace

AttentionStats ReferenceAttentionStats(const at::Tensor& q_BHTE,
                                       const at::Tensor& k_BGTE,
                                       const at::Tensor& v_BGTE,
                                       const AttentionOptions& options) {
  const auto to_double = [](const at::Tensor& x) {
    return x.cpu().to(at::kDouble).contiguous();
  };
  const at::Tensor q = to_double(q_BHTE), k = to_double(k_BGTE);
  const at::Tensor v = v_BGTE.defined() ? to_double(v_BGTE) : at::Tensor();
  AttentionStats stats = ZeroStats(q, v.defined());
  for (int64_t b = 0; b < q.size(0); ++b) {
    for (int64_t h = 0; h < q.size(1); ++h) {
      for (int64_t t = 0; t < q.size(2); ++t) {
        Row row = ComputeRow(q.accessor<double, 4>(), k.accessor<double, 4>(),
                             b, h, t, options);
        Normalise(t, options.normalisation, LogDenominator(row, h, options),
                  &row);
        WriteRow(row, b, h, t, options, &stats);
        if (v.defined()) {
          WriteOutput(row, v.accessor<double, 4>(), b, h, t, &stats.output);
        }
      }
    }
  }
  return stats;
}

}  // namespace sinkwatch::kernels
