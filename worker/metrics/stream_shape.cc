// The shape of the cloud of the stream's vectors, and of a head's outputs.
// Shapes: layer_statistics.h.
#include "ATen/ops/bmm.h"
#include "ATen/ops/linalg_eigvalsh.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

// Over a token's own dims; 0 where they are all alike.
at::Tensor KurtosisOfTokens(LayerStatistics& s) {
  const at::Tensor x_BTD = s.residual_BTD().to(at::kDouble);
  const at::Tensor square_BTD =
      x_BTD.sub(x_BTD.mean(-1, /*keepdim=*/true)).square_();
  const at::Tensor variance_BT = square_BTD.mean(-1);
  const at::Tensor fourth_BT = square_BTD.square().mean(-1);
  return fourth_BT.div(variance_BT.square().clamp_min(1e-300))
      .sub(3)
      .mul(variance_BT.gt(0))
      .unsqueeze(1);
}

// Of token 0, whose fourth moment is around 0 and whose spread is a sample's,
// as the source's script has them; what is below a normal's counts 0.
at::Tensor KurtosisOfFirst(LayerStatistics& s) {
  const at::Tensor x_B1D = s.residual_BTD().slice(1, 0, 1).to(at::kDouble);
  const at::Tensor variance_B1 =
      x_B1D.var(/*dim=*/-1, /*unbiased=*/true, /*keepdim=*/false);
  const at::Tensor fourth_B1 = x_B1D.square().square().mean(-1);
  return fourth_B1.div(variance_B1.square().clamp_min(1e-300))
      .sub(3)
      .clamp_min(0)
      .mul(variance_B1.gt(0))
      .unsqueeze(1);
}

at::Tensor NeuronKurtosis(LayerStatistics& s) {
  const at::Tensor power_BD =
      s.residual_BTD().to(at::kDouble).square_().mean(1);
  const at::Tensor mean_B1 = power_BD.mean(-1, /*keepdim=*/true);
  return power_BD.square().mean(-1, /*keepdim=*/true).div(mean_B1.square());
}

// -sum p ln p over p = sigma^2 / sum sigma^2 of each matrix [T,D] of a batch,
// by the eigenvalues of its smaller Gram matrix, in double. 0 of a matrix of
// zeros; what is no number stays so.
at::Tensor SpectralEntropy(const at::Tensor& x_BTD) {
  const at::Tensor x = x_BTD.to(at::kDouble);
  const at::Tensor gram = x.size(1) <= x.size(2)
                              ? at::bmm(x, x.transpose(1, 2))
                              : at::bmm(x.transpose(1, 2), x);
  // The decomposition takes numbers only.
  const at::Tensor told_B = gram.flatten(1).sum(-1).mul(0);
  const at::Tensor power =
      at::linalg_eigvalsh(gram.masked_fill(told_B.isnan().view({-1, 1, 1}), 0))
          .clamp_min(0);
  const at::Tensor p =
      power.div(power.sum(-1, /*keepdim=*/true).clamp_min(1e-300));
  return p.mul(p.clamp_min(1e-300).log()).sum(-1).neg().add(told_B);
}

at::Tensor MatrixEntropy(LayerStatistics& s) {
  return SpectralEntropy(s.residual_BTD()).unsqueeze(1);
}

at::Tensor MatrixEntropyOfRest(LayerStatistics& s) {
  return SpectralEntropy(s.residual_BTD().slice(1, 1)).unsqueeze(1);
}

at::Tensor HeadParticipation(LayerStatistics& s) {
  const at::Tensor z_BHTE = s.batch().z_BHTE.slice(2, 1);
  const at::Tensor z_NTE = z_BHTE.flatten(0, 1);
  return SpectralEntropy(z_NTE)
      .exp()
      .mul(z_NTE.ne(0).flatten(1).any(-1))
      .view({z_BHTE.size(0), z_BHTE.size(1)});
}

at::Tensor SmallAfterNorm(LayerStatistics& s) {
  const at::Tensor& x_BTD = s.residual_BTD();
  const at::Tensor rms_BT1 = x_BTD.square().mean(-1, /*keepdim=*/true).sqrt();
  const at::Tensor share_BT =
      x_BTD.abs().lt(rms_BT1.mul(0.01)).to(at::kFloat).mean(-1);
  // What is no number stays so.
  return share_BT.add(rms_BT1.squeeze(-1).mul(0)).unsqueeze(1);
}

// Mean cosine of all pairs of t >= 1: n unit vectors with the sum u have
// (u.u - n) / (n (n - 1)).
at::Tensor CosineOfPairs(LayerStatistics& s) {
  const at::Tensor x_BTD = s.residual_BTD().slice(1, 1).to(at::kDouble);
  const at::Tensor norm_BT1 =
      at::linalg_vector_norm(x_BTD, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
  const at::Tensor sum_BD = x_BTD.div(norm_BT1.clamp_min(1e-300)).sum(1);
  const double n = static_cast<double>(x_BTD.size(1));
  return sum_BD.square().sum(-1, /*keepdim=*/true).sub(n).div(n * (n - 1));
}

at::Tensor LogSumExp(LayerStatistics& s) { return s.attention().log_sum_exp; }

bool HasTwoOfRest(const LayerBatch& batch) {
  return batch.resid_post_BTD.size(1) > 2;
}

bool HeadHasRest(const LayerBatch& batch) { return batch.z_BHTE.size(2) > 1; }

Metric OnRequest(Descriptor descriptor, const std::string& cost, Term value) {
  Metric metric;
  metric.descriptor = std::move(descriptor);
  metric.descriptor.on_request = true;
  metric.descriptor.cost = cost;
  metric.needs = kNeedsResidualPost;
  metric.value = value;
  return metric;
}

}  // namespace

std::vector<Metric> StreamShapeMetrics() {
  const std::string read = "one or two reads of the stream";
  const std::string spectrum =
      "the eigenvalues of a matrix per sequence, of the smaller of tokens and "
      "width squared";
  Metric token = OnRequest(
      {"kurtosis_token", "ratio", Scope::kLayer,
       "Heaviness of the tails of a token's own vector: 0 for a normal "
       "distribution, large where few dims carry it.",
       "mean over tokens of m4 / m2^2 - 3, m_p = mean over dims of (x - mean "
       "over dims)^p",
       "arXiv 2506.19697 (outlier-safe pretraining), on tokens in their "
       "context"},
      read, {Rows::kAll, KurtosisOfTokens});
  token.by_class = true;
  Metric first = OnRequest(
      {"kurtosis_first_token", "ratio", Scope::kLayer,
       "Kurtosis of a token that stands alone: of the first of each sequence, "
       "which sees no other.",
       "mean over sequences of max(0, mean_j x_0j^4 / sd_j(x_0j)^4 - 3), sd "
       "with n - 1",
       "arXiv 2506.19697 (outlier-safe pretraining), as its script has it"},
      read, {Rows::kFirst, KurtosisOfFirst});
  Metric sparsity = OnRequest(
      {"postnorm_sparsity", "ratio", Scope::kLayer,
       "Share of entries that a norm leaves near 0, because others carry the "
       "length.",
       "mean over tokens of the share of dims with |x_tj| < 0.01 RMS(x_t)",
       "arXiv 2603.05498"},
      read, {Rows::kAll, SmallAfterNorm});
  sparsity.by_class = true;
  Metric cosine = OnRequest(
      {"postnorm_cosine", "ratio", Scope::kLayer,
       "How alike the tokens' vectors are after a norm: 1 if they point the "
       "same way.",
       "mean over sequences of the mean over pairs 1 <= s < t of cos(x_s, "
       "x_t)",
       "arXiv 2603.05498 (near-constancy), on all pairs and not 256 of them"},
      read, {Rows::kWholeSequence, CosineOfPairs});
  cosine.applies = HasTwoOfRest;
  Metric rest = OnRequest(
      {"matrix_entropy_rest", "nats", Scope::kLayer,
       "The same without position 0, whose length would hide the others.",
       "as matrix_entropy, of the rows t >= 1", "arXiv 2510.06477"},
      spectrum, {Rows::kWholeSequence, MatrixEntropyOfRest});
  rest.applies = HasTwoOfRest;
  Metric participation = OnRequest(
      {"head_participation", "count", Scope::kHead,
       "In how many directions a head writes: the spectrum leads the circuit "
       "in training.",
       "mean over sequences of exp(-sum p ln p), p = sigma^2 / sum sigma^2 of "
       "the rows z_t, t >= 1; 0 of a sequence in which it writes nothing",
       "arXiv 2606.02378, on every row and not on one query"},
      spectrum, {Rows::kWholeSequence, HeadParticipation});
  participation.needs = kNeedsHeadOutput;
  participation.applies = HeadHasRest;
  Metric lse = OnRequest(
      {"lse_mean", "nats", Scope::kHead,
       "Logarithm of softmax's denominator: what a learned sink or an output "
       "gate stands against.",
       "mean over t >= 1 of ln sum over visible k of exp(s[t,k]) (a learned "
       "sink is one more term)",
       "llm-internal-medicine (gate and LSE statistics)"},
      "little", {Rows::kRest, LogSumExp});
  lse.needs = kNeedsQueryKey;
  lse.by_class = true;
  lse.applies = IsSoftmax;
  return {token,
          first,
          OnRequest({"neuron_kurtosis", "ratio", Scope::kLayer,
                     "Whether few dims carry the stream over all tokens: 1 if "
                     "all carry the same.",
                     "mean over sequences of mean_j s_j^2 / (mean_j s_j)^2, "
                     "s_j = mean over tokens of x_tj^2",
                     "He et al., arXiv 2405.19279"},
                    read, {Rows::kWholeSequence, NeuronKurtosis}),
          OnRequest({"matrix_entropy", "nats", Scope::kLayer,
                     "In how many directions the stream of a sequence lies, "
                     "as an entropy: low in a compression valley.",
                     "mean over sequences of -sum p ln p, p = sigma^2 / sum "
                     "sigma^2 of the matrix tokens x dims",
                     "arXiv 2510.06477"},
                    spectrum, {Rows::kWholeSequence, MatrixEntropy}),
          rest,
          sparsity,
          cosine,
          participation,
          lse};
}

}  // namespace sinkwatch::metrics
