#include "worker/kernels/row_fold.h"

#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "ATen/ops/arange.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/where.h"
#include "c10/util/Exception.h"
#include "torch/library.h"
#include "worker/kernels/row_fold_operator.h"

namespace sinkwatch::kernels {
namespace {

// x of the rows that count: [B,N,rows].
at::Tensor RowsOf(const RowTerm& term) {
  const auto narrowed = [&](const at::Tensor& plane) {
    return plane.defined() && plane.size(2) > 1
               ? plane.narrow(2, term.first, term.end - term.first)
               : plane;
  };
  RowTerm rows = term;
  for (at::Tensor* plane :
       {&rows.a, &rows.minus, &rows.times, &rows.over, &rows.over_too}) {
    *plane = narrowed(*plane);
  }
  return PlaneOf(rows);
}

// Terms over the same rows, side by side.
struct Run {
  std::vector<at::Tensor> planes;  // [B,N,rows], float64
  std::vector<size_t> terms;
};

// Sums of a run's planes over all rows and over those of each class, put where
// their terms stand.
void FoldRun(const Run& run, int64_t first, const at::Tensor& row_classes_BT,
             int64_t classes, std::vector<at::Tensor>& folded_BNC) {
  const int64_t count = run.planes[0].size(2);
  const bool has_classes = row_classes_BT.defined() && classes > 0;
  const at::Tensor groups_BRC = RowGroups(
      has_classes ? row_classes_BT.narrow(1, first, count) : at::Tensor(),
      has_classes ? classes : 0, run.planes[0].size(0), count,
      run.planes[0].device());
  const at::Tensor sums_BNC =
      at::bmm(at::cat(run.planes, 1), groups_BRC).expand({-1, -1, 1 + classes});
  int64_t offset = 0;
  for (size_t i = 0; i < run.planes.size(); ++i) {
    folded_BNC[run.terms[i]] =
        sums_BNC.narrow(1, offset, run.planes[i].size(1));
    offset += run.planes[i].size(1);
  }
}

void CheckTerm(const RowTerm& term) {
  TORCH_CHECK(term.a.dim() == 3 && term.first >= 0 && term.first < term.end,
              "fold_rows: rows ", term.first, " to ", term.end, " of ",
              term.a.sizes());
}

}  // namespace

at::Tensor PlaneOf(const RowTerm& term) {
  at::Tensor x = term.a;
  if (term.minus.defined()) x = x.sub(term.minus);
  if (term.times.defined()) x = x.mul(term.times);
  if (term.scale != 1) x = x.mul(term.scale);
  if (term.over.defined()) {
    const at::Tensor below =
        term.over_too.defined() ? term.over.mul(term.over_too) : term.over;
    x = at::where(below.eq(0), 0.0, x.div(below));
  }
  if (std::isnan(term.above)) return x;
  return at::where(x.isnan(), x, x.gt(term.above).to(x.scalar_type()));
}

at::Tensor RowGroups(const at::Tensor& row_classes_BT, int64_t classes,
                     int64_t sequences, int64_t tokens, at::Device device) {
  const auto options = at::TensorOptions(at::kDouble).device(device);
  at::Tensor all_BT1 = at::ones({sequences, tokens, 1}, options);
  if (!row_classes_BT.defined() || classes == 0) return all_BT1;
  TORCH_CHECK(
      row_classes_BT.size(0) == sequences && row_classes_BT.size(1) == tokens,
      "row classes do not have the shape of the batch");
  at::Tensor class_C = at::arange(classes, options.dtype(at::kLong));
  at::Tensor is_class_BTC = row_classes_BT.to(device, /*non_blocking=*/true)
                                .to(at::kLong)
                                .unsqueeze(-1)
                                .eq(class_C)
                                .to(at::kDouble);
  return at::cat({all_BT1, is_class_BTC}, -1);
}

at::Tensor FoldRowsByOperators(const std::vector<RowTerm>& terms,
                               const at::Tensor& row_classes_BT,
                               int64_t classes) {
  std::map<std::pair<int64_t, int64_t>, Run> runs;
  std::vector<at::Tensor> folded_BNC(terms.size());
  for (size_t i = 0; i < terms.size(); ++i) {
    CheckTerm(terms[i]);
    const at::Tensor x_BNR = RowsOf(terms[i]).to(at::kDouble);
    if (terms[i].largest) {
      folded_BNC[i] =
          x_BNR.amax(-1, /*keepdim=*/true).expand({-1, -1, 1 + classes});
      continue;
    }
    Run& run = runs[{terms[i].first, terms[i].end}];
    run.planes.push_back(x_BNR);
    run.terms.push_back(i);
  }
  for (const auto& [rows, run] : runs) {
    FoldRun(run, rows.first, row_classes_BT, classes, folded_BNC);
  }
  return at::cat(folded_BNC, 1);
}

at::Tensor FoldRows(const std::vector<RowTerm>& terms,
                    const at::Tensor& row_classes_BT, int64_t classes) {
  TORCH_CHECK(!terms.empty(), "fold_rows: no terms");
  if (!terms[0].a.is_cuda() || classes > kMaxFoldClasses) {
    return FoldRowsByOperators(terms, row_classes_BT, classes);
  }
  FoldArguments arguments;
  for (const RowTerm& term : terms) {
    CheckTerm(term);
    arguments.Add(term);
  }
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::fold_rows", "")
                             .typed<FoldRowsSignature>();
  const std::optional<at::Tensor> row_classes =
      row_classes_BT.defined() ? std::optional(row_classes_BT) : std::nullopt;
  return op.call(arguments.planes, arguments.numbers, arguments.rows,
                 row_classes, classes);
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def(
      "fold_rows(Tensor[] planes, float[] numbers, int[] rows, Tensor? classes,"
      " int groups) -> Tensor");
}
