#include "worker/model/delta_net.h"

#include <cmath>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/exp.h"
#include "gtest/gtest.h"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::model {
namespace {

// The rule token by token, in doubles, of one head.
Matrix PlainDeltaRule(const Matrix& q, const Matrix& k, const Matrix& v,
                      const Matrix& g, const Matrix& beta) {
  Matrix state(k.columns, v.columns), out(q.rows, v.columns);
  const auto length = [](const Matrix& x, int64_t t) {
    double sum = 1e-6;
    for (int64_t e = 0; e < x.columns; ++e) sum += x(t, e) * x(t, e);
    return std::sqrt(sum);
  };
  for (int64_t t = 0; t < q.rows; ++t) {
    const double keeps = std::exp(g(0, t)), norm = length(k, t);
    for (double& value : state.values) value *= keeps;
    for (int64_t j = 0; j < v.columns; ++j) {
      double said = 0;
      for (int64_t e = 0; e < k.columns; ++e) said += state(e, j) * k(t, e);
      const double change = beta(0, t) * (v(t, j) - said / norm);
      for (int64_t e = 0; e < k.columns; ++e) {
        state(e, j) += k(t, e) / norm * change;
      }
      for (int64_t e = 0; e < k.columns; ++e) {
        out(t, j) += state(e, j) * q(t, e) / length(q, t) /
                     std::sqrt(static_cast<double>(q.columns));
      }
    }
  }
  return out;
}

TEST(GatedDeltaRuleTest, EqualsThePlainOneWithinAndAcrossChunks) {
  for (const int64_t tokens : {1, 5, 64, 65, 150}) {
    SCOPED_TRACE(tokens);
    const at::Tensor q = RandomTensor({2, 3, tokens, 6}, 1);
    const at::Tensor k = RandomTensor({2, 3, tokens, 6}, 2);
    const at::Tensor v = RandomTensor({2, 3, tokens, 4}, 3);
    const at::Tensor g = -at::exp(RandomTensor({2, 3, tokens}, 4) - 2);
    const at::Tensor beta = RandomTensor({2, 3, tokens}, 5).sigmoid() * 2;
    const at::Tensor out = GatedDeltaRule(q, k, v, g, beta);
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t h = 0; h < 3; ++h) {
        const Matrix expected =
            PlainDeltaRule(PlainOf(q[b][h]), PlainOf(k[b][h]), PlainOf(v[b][h]),
                           PlainOf(g[b][h]), PlainOf(beta[b][h]));
        EXPECT_LT(MaxDifference(PlainOf(out[b][h]), expected), 1e-4);
      }
    }
  }
}

TEST(CausalConvolutionTest, AChannelSeesItsLastTapsOnly) {
  const at::Tensor x = RandomTensor({2, 7, 3}, 1);
  const at::Tensor weight = RandomTensor({3, 1, 4}, 2);
  const at::Tensor out = CausalConvolution(x, weight);
  ASSERT_EQ(out.sizes().vec(), (std::vector<int64_t>{2, 7, 3}));
  for (int64_t t = 0; t < 7; ++t) {
    for (int64_t c = 0; c < 3; ++c) {
      double sum = 0;
      for (int64_t i = 0; i < 4 && i <= t; ++i) {
        sum +=
            x[1][t - i][c].item<double>() * weight[c][0][3 - i].item<double>();
      }
      EXPECT_NEAR(out[1][t][c].item<double>(), PlainSilu(sum), 1e-6);
    }
  }
}

}  // namespace
}  // namespace sinkwatch::model
