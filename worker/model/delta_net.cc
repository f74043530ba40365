#include "worker/model/delta_net.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/constant_pad_nd.h"
#include "ATen/ops/conv1d.h"
#include "ATen/ops/exp.h"
#include "ATen/ops/linalg_solve_triangular.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/rsqrt.h"
#include "ATen/ops/silu.h"
#include "ATen/ops/softplus.h"
#include "ATen/ops/zeros.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kChunk = 64;

at::Tensor OfLengthOne(const at::Tensor& x) {
  return x * at::rsqrt((x * x).sum(-1, /*keepdim=*/true) + 1e-6);
}

// R tokens of a chunk.
struct Chunk {
  at::Tensor q_BHRE, k_BHRE, v_BHRV, g_BHR, beta_BHR;
};

// exp(sum of g over (j, i]) for j <= i, 0 above: [B,H,R,R].
at::Tensor DecayBetween(const at::Tensor& sum_BHR) {
  const int64_t rows = sum_BHR.size(-1);
  const at::Tensor later =
      at::ones({rows, rows}, sum_BHR.options().dtype(at::kBool)).triu(1);
  return at::exp(
      (sum_BHR.unsqueeze(-1) - sum_BHR.unsqueeze(-2))
          .masked_fill(later, -std::numeric_limits<float>::infinity()));
}

// One chunk's outputs; `state_BHEV` becomes the state behind it. The updates of
// its tokens depend on each other by a triangular system, (1 + A) u = beta (v -
// what the state at the chunk's start says of k).
at::Tensor RunChunk(const Chunk& chunk, at::Tensor& state_BHEV) {
  const at::Tensor sum_BHR = chunk.g_BHR.cumsum(-1);
  const at::Tensor decay_BHRR = DecayBetween(sum_BHR);
  const at::Tensor from_start_BHR1 = at::exp(sum_BHR).unsqueeze(-1);
  const at::Tensor beta_BHR1 = chunk.beta_BHR.unsqueeze(-1);
  const at::Tensor k_ER = chunk.k_BHRE.transpose(-1, -2);
  const at::Tensor a_BHRR =
      (at::matmul(chunk.k_BHRE, k_ER) * decay_BHRR * beta_BHR1).tril(-1);
  const at::Tensor known_BHRV =
      at::matmul(chunk.k_BHRE * from_start_BHR1, state_BHEV);
  const at::Tensor update_BHRV = at::linalg_solve_triangular(
      a_BHRR, beta_BHR1 * (chunk.v_BHRV - known_BHRV), /*upper=*/false,
      /*left=*/true, /*unitriangular=*/true);
  const at::Tensor out_BHRV =
      at::matmul(chunk.q_BHRE * from_start_BHR1, state_BHEV) +
      at::matmul(at::matmul(chunk.q_BHRE, k_ER) * decay_BHRR, update_BHRV);
  const at::Tensor all_BH1 = sum_BHR.slice(-1, sum_BHR.size(-1) - 1);
  const at::Tensor to_end_BHR1 = at::exp(all_BH1 - sum_BHR).unsqueeze(-1);
  state_BHEV =
      state_BHEV * at::exp(all_BH1).unsqueeze(-1) +
      at::matmul((chunk.k_BHRE * to_end_BHR1).transpose(-1, -2), update_BHRV);
  return out_BHRV;
}

}  // namespace

at::Tensor CausalConvolution(const at::Tensor& x_BTC,
                             const at::Tensor& weight_C1K) {
  const int64_t taps = weight_C1K.size(2);
  const at::Tensor padded_BCT =
      at::constant_pad_nd(x_BTC.transpose(1, 2), {taps - 1, 0});
  return at::silu(at::conv1d(padded_BCT, weight_C1K, std::nullopt, 1,
                             at::IntArrayRef{0}, 1, x_BTC.size(2)))
      .transpose(1, 2);
}

at::Tensor GatedDeltaRule(const at::Tensor& q_BHTE, const at::Tensor& k_BHTE,
                          const at::Tensor& v_BHTV, const at::Tensor& g_BHT,
                          const at::Tensor& beta_BHT) {
  const at::Tensor q = OfLengthOne(q_BHTE.to(at::kFloat)) /
                       std::sqrt(static_cast<double>(q_BHTE.size(3)));
  const at::Tensor k = OfLengthOne(k_BHTE.to(at::kFloat));
  const at::Tensor v = v_BHTV.to(at::kFloat);
  const at::Tensor g = g_BHT.to(at::kFloat), beta = beta_BHT.to(at::kFloat);
  at::Tensor state_BHEV =
      at::zeros({q.size(0), q.size(1), q.size(3), v.size(3)}, v.options());
  std::vector<at::Tensor> chunks;
  const int64_t tokens = q.size(2);
  for (int64_t begin = 0; begin < tokens; begin += kChunk) {
    const auto part = [&](const at::Tensor& x) {
      return x.slice(2, begin, std::min(begin + kChunk, tokens));
    };
    chunks.push_back(
        RunChunk({part(q), part(k), part(v), part(g), part(beta)}, state_BHEV));
  }
  return at::cat(chunks, 2);
}

at::Tensor LogDecay(const at::Tensor& a_BTH, const at::Tensor& a_log_H,
                    const at::Tensor& dt_bias_H) {
  return (-at::exp(a_log_H.to(at::kFloat)) *
          at::softplus(a_BTH.to(at::kFloat) + dt_bias_H.to(at::kFloat)))
      .transpose(1, 2);
}

}  // namespace sinkwatch::model
