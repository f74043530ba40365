#ifndef SINKWATCH_WORKER_KERNELS_ROW_FOLD_OPERATOR_H_
#define SINKWATCH_WORKER_KERNELS_ROW_FOLD_OPERATOR_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "ATen/core/Tensor.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "worker/kernels/row_fold.h"

// sinkwatch::fold_rows: FoldRows (row_fold.h) for a device that has it, its
// terms as lists, which is what a schema can say.
namespace sinkwatch::kernels {

constexpr int64_t kMaxFoldClasses = 255;
constexpr int kFoldNumbers = 2;  // of a term: scale, above
constexpr int kFoldRows = 4;     // planes that there are, first, end, largest

using FoldRowsSignature = at::Tensor(at::TensorList planes,
                                     at::ArrayRef<double> numbers,
                                     at::IntArrayRef rows,
                                     const std::optional<at::Tensor>& classes,
                                     int64_t groups);

// Of all terms in turn. `rows` has a bit per plane of RowTerm that is there, in
// the order of its members; `planes` has those.
struct FoldArguments {
  void Add(const RowTerm& term) {
    int64_t there = 0, bit = 1;
    for (const at::Tensor* plane :
         {&term.a, &term.minus, &term.times, &term.over, &term.over_too}) {
      if (plane->defined()) {
        there |= bit;
        planes.push_back(*plane);
      }
      bit *= 2;
    }
    numbers.insert(numbers.end(), {term.scale, term.above});
    rows.insert(rows.end(), {there, term.first, term.end,
                             static_cast<int64_t>(term.largest)});
  }

  std::vector<at::Tensor> planes;
  std::vector<double> numbers;
  std::vector<int64_t> rows;
};

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ROW_FOLD_OPERATOR_H_
