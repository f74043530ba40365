#include "worker/model/plain_math_testing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sinkwatch::model {
namespace {

// Weights of row t over all keys, zero for the hidden ones; `sink` is the logit
// of a learned sink, -infinity without one.
std::vector<double> PlainRow(const std::vector<double>& logits, int64_t t,
                             const AttentionShape& shape, double sink) {
  const int64_t first =
      shape.window > 0 ? std::max<int64_t>(0, t - shape.window + 1) : 0;
  std::vector<double> weights(logits.size(), 0.0);
  double most = sink;
  for (int64_t s = first; s <= t; ++s) most = std::max(most, logits[s]);
  double total = std::isinf(sink) ? 0 : std::exp(sink - most);
  for (int64_t s = first; s <= t; ++s) {
    const bool relu = shape.kind == AttentionKind::kRelu;
    weights[s] = relu ? PlainRelu(logits[s]) : std::exp(logits[s] - most);
    total += weights[s];
  }
  if (shape.kind == AttentionKind::kRelu) total = static_cast<double>(t + 1);
  for (double& weight : weights) weight /= total;
  return weights;
}

}  // namespace

Matrix PlainOf(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.detach().to(at::kDouble).contiguous();
  Matrix matrix(wide.numel() / wide.size(-1), wide.size(-1));
  std::copy_n(wide.data_ptr<double>(), wide.numel(), matrix.values.begin());
  return matrix;
}

Matrix PlainOfHeads(const at::Tensor& x_HTE) {
  const int64_t heads = x_HTE.size(0), width = x_HTE.size(2);
  Matrix all(x_HTE.size(1), heads * width);
  for (int64_t h = 0; h < heads; ++h) {
    const Matrix one = PlainOf(x_HTE.select(0, h));
    for (int64_t t = 0; t < one.rows; ++t) {
      for (int64_t e = 0; e < width; ++e) all(t, h * width + e) = one(t, e);
    }
  }
  return all;
}

double MaxDifference(const Matrix& a, const Matrix& b) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (a.rows != b.rows || a.columns != b.columns) return infinity;
  double most = 0;
  for (size_t i = 0; i < a.values.size(); ++i) {
    const double difference = std::fabs(a.values[i] - b.values[i]);
    if (std::isnan(difference)) return infinity;
    most = std::max(most, difference);
  }
  return most;
}

Matrix Add(const Matrix& a, const Matrix& b) {
  Matrix sum = a;
  for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += b.values[i];
  return sum;
}

Matrix Multiply(const Matrix& a, const Matrix& b) {
  Matrix product = a;
  for (size_t i = 0; i < product.values.size(); ++i) {
    product.values[i] *= b.values[i];
  }
  return product;
}

Matrix Map(const Matrix& x, double (*f)(double)) {
  Matrix y = x;
  for (double& value : y.values) value = f(value);
  return y;
}

Matrix Clip(const Matrix& x, double limit) {
  Matrix y = x;
  for (double& value : y.values) value = std::clamp(value, -limit, limit);
  return y;
}

double PlainSilu(double x) { return x / (1 + std::exp(-x)); }
double PlainRelu(double x) { return std::max(x, 0.0); }

Matrix PlainLinear(const Matrix& x, const Matrix& weight, const Matrix* bias) {
  Matrix y(x.rows, weight.rows);
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t o = 0; o < weight.rows; ++o) {
      double sum = bias != nullptr ? (*bias)(0, o) : 0.0;
      for (int64_t i = 0; i < x.columns; ++i) sum += x(t, i) * weight(o, i);
      y(t, o) = sum;
    }
  }
  return y;
}

Matrix PlainRmsNorm(const Matrix& x, const Matrix& weight, double epsilon) {
  Matrix y = x;
  for (int64_t t = 0; t < x.rows; ++t) {
    double squares = 0;
    for (int64_t i = 0; i < x.columns; ++i) squares += x(t, i) * x(t, i);
    const double rms = std::sqrt(squares / x.columns + epsilon);
    for (int64_t i = 0; i < x.columns; ++i) y(t, i) *= weight(0, i) / rms;
  }
  return y;
}

Matrix PlainLayerNorm(const Matrix& x, const Matrix* weight, const Matrix* bias,
                      double epsilon) {
  Matrix y = x;
  for (int64_t t = 0; t < x.rows; ++t) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < x.columns; ++i) mean += x(t, i) / x.columns;
    for (int64_t i = 0; i < x.columns; ++i) {
      variance += (x(t, i) - mean) * (x(t, i) - mean) / x.columns;
    }
    for (int64_t i = 0; i < x.columns; ++i) {
      y(t, i) = (x(t, i) - mean) / std::sqrt(variance + epsilon);
      if (weight != nullptr) y(t, i) *= (*weight)(0, i);
      if (bias != nullptr) y(t, i) += (*bias)(0, i);
    }
  }
  return y;
}

Matrix PlainRotary(const Matrix& x, int64_t heads, double theta) {
  const int64_t width = x.columns / heads, half = width / 2;
  Matrix y = x;
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t pair = 0; pair < heads * half; ++pair) {
      const int64_t i = pair % half, first = pair / half * width + i;
      const double angle = t * std::pow(theta, -2.0 * i / width);
      const double a = x(t, first), b = x(t, first + half);
      y(t, first) = a * std::cos(angle) - b * std::sin(angle);
      y(t, first + half) = b * std::cos(angle) + a * std::sin(angle);
    }
  }
  return y;
}

Matrix PlainAttention(const Matrix& q, const Matrix& k, const Matrix& v,
                      int64_t heads, int64_t groups,
                      const AttentionShape& shape,
                      const Matrix* learned_sinks) {
  const int64_t width = q.columns / heads, tokens = q.rows;
  Matrix z(tokens, q.columns);
  for (int64_t row = 0; row < heads * tokens; ++row) {
    const int64_t h = row / tokens, t = row % tokens, g = h * groups / heads;
    std::vector<double> logits(tokens, 0.0);
    for (int64_t s = 0; s < tokens; ++s) {
      for (int64_t e = 0; e < width; ++e) {
        logits[s] += shape.scale * q(t, h * width + e) * k(s, g * width + e);
      }
    }
    const double sink = learned_sinks != nullptr
                            ? (*learned_sinks)(0, h)
                            : -std::numeric_limits<double>::infinity();
    const std::vector<double> weights = PlainRow(logits, t, shape, sink);
    for (int64_t s = 0; s < tokens; ++s) {
      for (int64_t e = 0; e < width; ++e) {
        z(t, h * width + e) += weights[s] * v(s, g * width + e);
      }
    }
  }
  return z;
}

Matrix PlainLookUp(const Matrix& table, const std::vector<int64_t>& ids) {
  Matrix rows(static_cast<int64_t>(ids.size()), table.columns);
  for (size_t t = 0; t < ids.size(); ++t) {
    for (int64_t i = 0; i < table.columns; ++i) rows(t, i) = table(ids[t], i);
  }
  return rows;
}

}  // namespace sinkwatch::model
