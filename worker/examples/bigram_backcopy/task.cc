#include "worker/examples/bigram_backcopy/task.h"

#include <cmath>

#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"

namespace sinkwatch::bigram_backcopy {
namespace {

constexpr uint64_t kChainSeed = 20241013;
constexpr int kPlain = kTokens - kTriggers;
constexpr double kPlainConcentration = 0.15;
constexpr double kTriggerConcentration = 5.0;
constexpr double kFloor = 1e-4;

// In (0, 1), from the upper 53 bits.
double Uniform(std::mt19937_64& random) {
  return (static_cast<double>(random() >> 11) + 0.5) / 9007199254740992.0;
}

double Normal(std::mt19937_64& random) {
  constexpr double kTwoPi = 6.283185307179586;
  const double radius = std::sqrt(-2 * std::log(Uniform(random)));
  return radius * std::cos(kTwoPi * Uniform(random));
}

// Marsaglia and Tsang (2000); shapes below 1 through shape + 1.
double Gamma(double shape, std::mt19937_64& random) {
  if (shape < 1) {
    const double boost = std::pow(Uniform(random), 1 / shape);
    return boost * Gamma(shape + 1, random);
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = Normal(random);
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(Uniform(random)) < x * x / 2 + d - d * v + d * std::log(v)) {
      return d * v;
    }
  }
}

// `count` shares that add up to 1.
std::vector<double> Dirichlet(int count, double concentration, double floor,
                              std::mt19937_64& random) {
  std::vector<double> shares(count);
  double sum = 0;
  for (double& share : shares) {
    share = Gamma(concentration, random);
    sum += share;
  }
  double floored = 0;
  for (double& share : shares) {
    share = share / sum + floor;
    floored += share;
  }
  for (double& share : shares) share /= floored;
  return shares;
}

template <typename Shares>
int64_t Choose(const Shares& shares, std::mt19937_64& random) {
  double left = Uniform(random);
  for (int i = 0; i < kTokens; ++i) {
    left -= shares[i];
    if (left < 0) return i;
  }
  return kPlain - 1;  // rounding
}

}  // namespace

Task::Task(double trigger_share) : rows_{} {
  std::mt19937_64 random(kChainSeed);
  for (int token = 0; token < kPlain; ++token) {
    const std::vector<double> plain =
        Dirichlet(kPlain, kPlainConcentration, kFloor, random);
    const std::vector<double> triggers =
        Dirichlet(kTriggers, kTriggerConcentration, 0, random);
    for (int next = 0; next < kPlain; ++next) {
      rows_[token][next] = (1 - trigger_share) * plain[next];
    }
    for (int next = 0; next < kTriggers; ++next) {
      rows_[token][kPlain + next] = trigger_share * triggers[next];
    }
  }
}

at::Tensor Task::Draw(int64_t count, int64_t length,
                      std::mt19937_64& random) const {
  at::Tensor tokens_NT = at::empty({count, length}, at::kLong);
  int64_t* ids = tokens_NT.data_ptr<int64_t>();
  for (int64_t n = 0; n < count; ++n, ids += length) {
    ids[0] = kBos;
    for (int64_t t = 1; t < length; ++t) {
      if (t == 1) {
        ids[t] = static_cast<int64_t>(Uniform(random) * kPlain);
      } else if (IsTrigger(ids[t - 1])) {
        ids[t] = ids[t - 2];
      } else {
        ids[t] = Choose(rows_[ids[t - 1]], random);
      }
    }
  }
  return tokens_NT;
}

at::Tensor Task::OracleLogProbability(const at::Tensor& tokens_NT) const {
  const int64_t count = tokens_NT.size(0), length = tokens_NT.size(1);
  const at::Tensor tokens = tokens_NT.contiguous();
  at::Tensor oracle = at::zeros({count, length - 1}, at::kDouble);
  double* out = oracle.data_ptr<double>();
  const int64_t* ids = tokens.data_ptr<int64_t>();
  for (int64_t n = 0; n < count; ++n, ids += length, out += length - 1) {
    for (int64_t t = 0; t + 1 < length; ++t) {
      if (ids[t] == kBos) {
        out[t] = -std::log(static_cast<double>(kPlain));
      } else if (!IsTrigger(ids[t])) {
        out[t] = std::log(rows_[ids[t]][ids[t + 1]]);
      }
    }
  }
  return oracle;
}

at::Tensor RowClasses(const at::Tensor& tokens_NT) {
  const at::Tensor tokens = tokens_NT.contiguous();
  at::Tensor classes_NT = at::zeros(tokens.sizes(), at::kByte);
  const int64_t* ids = tokens.data_ptr<int64_t>();
  uint8_t* classes = classes_NT.data_ptr<uint8_t>();
  const int64_t length = tokens.size(1);
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    classes[i] = i % length >= 2 && IsTrigger(ids[i]) ? 1 : 0;
  }
  return classes_NT;
}

}  // namespace sinkwatch::bigram_backcopy
