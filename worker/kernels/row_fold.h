#ifndef SINKWATCH_WORKER_KERNELS_ROW_FOLD_H_
#define SINKWATCH_WORKER_KERNELS_ROW_FOLD_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// Legend: B sequences, N heads (or groups of heads, or 1), T rows, C classes of
// rows. A plane is a number per row, [B,N,T], of any strides; a dimension of 1
// stands for all.

// A number per row that is made of planes and never written down on a GPU:
//
//   x = scale (a - minus) times / (over over_too)
//
// 0 where the denominator is 0. A plane that is undefined is left out. All are
// float32, but for a, which may be float64 or int64 where it stands alone; x is
// float32 arithmetic, its sums are float64.
struct RowTerm {
  at::Tensor a;
  at::Tensor minus = {};
  at::Tensor times = {};
  at::Tensor over = {};
  at::Tensor over_too = {};
  double scale = 1;
  // x becomes 1 where it is above this, else 0; what is no number stays so.
  // NaN: it stays as it is.
  double above = std::numeric_limits<double>::quiet_NaN();
  // Of rows [first, end); not empty.
  int64_t first = 0;
  int64_t end = 0;
  // The largest x of the rows, not their sum; what is no number is larger.
  bool largest = false;
};

// x of all rows: [B,N,T], of the type of a.
at::Tensor PlaneOf(const RowTerm& term);

// Each term folded over its rows, and over those of each class: float64
// [B, N of all terms one behind the other, 1 + C] on the device of the planes;
// group 0 is all rows. `row_classes_BT` uint8 on the same device, undefined
// without classes; a class has the rows with its number. `largest` ignores
// classes: its groups are alike.
//
// The operators of the portable form, one product for all terms over the same
// rows; sinkwatch::fold_rows, one launch for all, where a device has it.
at::Tensor FoldRows(const std::vector<RowTerm>& terms,
                    const at::Tensor& row_classes_BT, int64_t classes);
at::Tensor FoldRowsByOperators(const std::vector<RowTerm>& terms,
                               const at::Tensor& row_classes_BT,
                               int64_t classes);

// Which rows count for which group: float64 [B,T,1 + C], 1 or 0. Group 0 is
// every row.
at::Tensor RowGroups(const at::Tensor& row_classes_BT, int64_t classes,
                     int64_t sequences, int64_t tokens, at::Device device);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ROW_FOLD_H_
