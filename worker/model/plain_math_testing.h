#ifndef SINKWATCH_WORKER_MODEL_PLAIN_MATH_TESTING_H_
#define SINKWATCH_WORKER_MODEL_PLAIN_MATH_TESTING_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/model/architecture.h"

// The layers again, for one sequence, as loops over doubles straight from their
// formulas: what tests compare the tensor code with. Shares no code with it.
namespace sinkwatch::model {

struct Matrix {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), values(rows * columns, 0.0) {}
  double& operator()(int64_t row, int64_t column) {
    return values[row * columns + column];
  }
  double operator()(int64_t row, int64_t column) const {
    return values[row * columns + column];
  }
};

// Weights by the checkpoint's names.
using PlainWeights = std::map<std::string, Matrix>;

// A tensor of one (a single row) or two dimensions, or of more: the last one
// makes the columns.
Matrix PlainOf(const at::Tensor& tensor);
// [heads, T, E] -> [T, heads * E], heads side by side.
Matrix PlainOfHeads(const at::Tensor& x_HTE);

// Largest absolute difference; infinity if shapes differ or a value is not a
// number.
double MaxDifference(const Matrix& a, const Matrix& b);

Matrix Add(const Matrix& a, const Matrix& b);
Matrix Multiply(const Matrix& a, const Matrix& b);  // by element
Matrix Map(const Matrix& x, double (*f)(double));
Matrix Clip(const Matrix& x, double limit);
double PlainSilu(double x);
double PlainRelu(double x);

// x weight^T + bias; no bias: null.
Matrix PlainLinear(const Matrix& x, const Matrix& weight,
                   const Matrix* bias = nullptr);
Matrix PlainRmsNorm(const Matrix& x, const Matrix& weight, double epsilon);
Matrix PlainLayerNorm(const Matrix& x, const Matrix* weight, const Matrix* bias,
                      double epsilon);
// Rotates each head's pairs (i, i + E/2) by position * theta^(-2i/E).
Matrix PlainRotary(const Matrix& x, int64_t heads, double theta);
// q [T, H*E], k and v [T, G*E] -> z [T, H*E]; learned sinks [1, H]: null if
// there are none.
Matrix PlainAttention(const Matrix& q, const Matrix& k, const Matrix& v,
                      int64_t heads, int64_t groups,
                      const AttentionShape& shape,
                      const Matrix* learned_sinks = nullptr);
// Row i is table's row ids[i].
Matrix PlainLookUp(const Matrix& table, const std::vector<int64_t>& ids);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_PLAIN_MATH_TESTING_H_
