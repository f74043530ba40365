#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ATen/ops/argsort.h"
#include "ATen/ops/full.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

const std::vector<std::string> kMetrics = {
    "router_entropy_norm", "effective_experts", "expert_load_cv",
    "expert_max_share",    "dead_experts",      "router_margin",
    "router_margin_cut"};

constexpr int64_t B = 5, T = 7, X = 6, K = 2;

// Sigmoids, which do not add up to 1, and the K largest of them.
LayerBatch RandomMixture() {
  Shape shape;
  shape.B = B;
  shape.T = T;
  LayerBatch batch = RandomLayer(shape);
  batch.router_BTX = batch.resid_post_BTD.slice(2, 0, X).sigmoid();
  batch.experts_BTK =
      at::argsort(batch.router_BTX, /*dim=*/-1, /*descending=*/true)
          .slice(2, 0, K);
  return batch;
}

// All of it from the definitions, in double.
TEST(ExpertRoutingTest, EqualsTheDefinition) {
  const LayerBatch batch = RandomMixture();
  std::vector<double> p(X), loads(X);
  double margin = 0, cut = 0;
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t t = 0; t < T; ++t) {
      std::vector<double> share;
      double sum = 0;
      for (int64_t x = 0; x < X; ++x) {
        share.push_back(batch.router_BTX[b][t][x].item<float>());
        sum += share.back();
      }
      for (int64_t x = 0; x < X; ++x) p[x] += (share[x] /= sum) / (B * T);
      for (int64_t k = 0; k < K; ++k) {
        loads[batch.experts_BTK[b][t][k].item<int64_t>()] += 1. / (B * T * K);
      }
      std::sort(share.rbegin(), share.rend());
      margin += (share[0] - share[1]) / (B * T);
      cut += (share[K - 1] - share[K]) / (B * T);
    }
  }
  double entropy = 0, squares = 0, dead = 0;
  for (int64_t x = 0; x < X; ++x) {
    entropy -= p[x] * std::log(p[x]);
    squares += std::pow(loads[x] - 1. / X, 2) / X;
    dead += loads[x] < 1. / (10 * X);
  }
  const Values values =
      Measure({Slice(batch, 0, 2), Slice(batch, 2, B)}, {}, kMetrics);
  ExpectClose(values, "d router_entropy_norm", {entropy / std::log(X)});
  ExpectClose(values, "d effective_experts", {std::exp(entropy)});
  ExpectClose(values, "d expert_load_cv", {std::sqrt(squares) * X});
  ExpectClose(values, "d expert_max_share",
              {*std::max_element(loads.begin(), loads.end())});
  ExpectClose(values, "d dead_experts", {dead});
  ExpectClose(values, "d router_margin", {margin});
  ExpectClose(values, "d router_margin_cut", {cut});
  EXPECT_TRUE(
      std::isnan(values.at("d router_entropy_norm").standard_error.at(0)));
  EXPECT_EQ(values.at("d expert_load_cv").count, B * T);
}

TEST(ExpertRoutingTest, ARouterThatKnowsOneExpertOnly) {
  LayerBatch batch = RandomMixture();
  batch.router_BTX = at::zeros({B, T, X});
  batch.router_BTX.select(2, 3).fill_(1);
  batch.experts_BTK = at::full({B, T, 1}, 3, at::kLong);
  const Values values = Measure({batch}, {}, kMetrics);
  ExpectClose(values, "d router_entropy_norm", {0});
  ExpectClose(values, "d effective_experts", {1});
  ExpectClose(values, "d expert_load_cv", {std::sqrt(X - 1.)});
  ExpectClose(values, "d expert_max_share", {1});
  ExpectClose(values, "d dead_experts", {X - 1});
  ExpectClose(values, "d router_margin", {1});
}

TEST(ExpertRoutingTest, WithoutExpertsThereIsNothing) {
  const Values values = Measure({RandomLayer(Shape())}, {}, kMetrics);
  for (const std::string& metric : kMetrics) {
    EXPECT_EQ(values.count("d " + metric), 0u) << metric;
  }
}

TEST(ExpertRoutingTest, ACutThatTakesAllHasNoMargin) {
  LayerBatch batch = RandomMixture();
  batch.experts_BTK =
      at::argsort(batch.router_BTX, /*dim=*/-1, /*descending=*/true);
  const Values values = Measure({batch}, {}, kMetrics);
  EXPECT_EQ(values.count("d router_margin_cut"), 0u);
  ExpectClose(values, "d expert_load_cv", {0});
}

}  // namespace
}  // namespace sinkwatch::metrics::test
