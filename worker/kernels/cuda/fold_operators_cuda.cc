// CUDA implementations of what is folded from a batch's statistics: row_fold.h,
// sink_columns.h.
#include <algorithm>
#include <array>
#include <tuple>

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"
#include "c10/core/DeviceGuard.h"
#include "torch/library.h"
#include "worker/kernels/cuda/device_call.h"
#include "worker/kernels/cuda/fold_kernels.h"
#include "worker/kernels/row_fold_operator.h"
#include "worker/kernels/sink_rule.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kGrid = 65535;  // values that a launch has places for

FoldPlane PlaneOf(const at::Tensor& x_BNT) {
  const auto stride = [&](int64_t dim) {
    return x_BNT.size(dim) == 1 ? 0 : x_BNT.stride(dim);
  };
  return {x_BNT.const_data_ptr(), stride(0), stride(1), stride(2)};
}

PlaneType TypeOf(const at::Tensor& a) {
  switch (a.scalar_type()) {
    case at::kFloat:
      return PlaneType::kFloat;
    case at::kDouble:
      return PlaneType::kDouble;
    case at::kLong:
      return PlaneType::kInt64;
    default:
      TORCH_CHECK(false, "fold_rows: a plane of ", a.scalar_type());
  }
}

// Takes the term's planes off the front of `planes`.
FoldTerm TermOf(at::TensorList& planes, at::ArrayRef<double> numbers,
                at::IntArrayRef rows) {
  FoldTerm term;
  FoldPlane* const members[] = {&term.a, &term.minus, &term.times, &term.over,
                                &term.over_too};
  const at::Tensor& a = planes.front();
  for (int i = 0; i < 5; ++i) {
    if ((rows[0] >> i & 1) == 0) continue;
    const at::Tensor& plane = planes.front();
    TORCH_CHECK(
        plane.dim() == 3 && (i == 0 || plane.scalar_type() == at::kFloat),
        "fold_rows: a plane ", plane.sizes(), " ", plane.scalar_type());
    *members[i] = PlaneOf(plane);
    planes = planes.slice(1);
  }
  term.type = TypeOf(a);
  TORCH_CHECK(term.type == PlaneType::kFloat || rows[0] == 1,
              "fold_rows: only a plane of float32 is part of a term");
  term.scale = static_cast<float>(numbers[0]);
  term.above = static_cast<float>(numbers[1]);
  term.first = static_cast<int>(rows[1]);
  term.end = static_cast<int>(rows[2]);
  term.largest = rows[3] != 0;
  term.values = static_cast<int>(a.size(1));
  return term;
}

at::Tensor FoldRowsCuda(at::TensorList planes, at::ArrayRef<double> numbers,
                        at::IntArrayRef rows,
                        const std::optional<at::Tensor>& classes,
                        int64_t groups) {
  const c10::DeviceGuard guard(planes.front().device());
  const at::Device device = planes.front().device();
  const int64_t batch = planes.front().size(0);
  const size_t terms = rows.size() / kFoldRows;
  std::vector<FoldRowsCall> calls((terms + kMaxFoldTerms - 1) / kMaxFoldTerms);
  int all_values = 0;
  for (size_t i = 0; i < terms; ++i) {
    FoldRowsCall& call = calls[i / kMaxFoldTerms];
    if (call.count == 0) call.offset = all_values;
    const FoldTerm term =
        TermOf(planes, numbers.slice(i * kFoldNumbers, kFoldNumbers),
               rows.slice(i * kFoldRows, kFoldRows));
    call.terms[call.count++] = term;
    call.values += term.values;
    TORCH_CHECK(call.values <= kGrid, "fold_rows: ", call.values, " values");
    all_values += term.values;
  }
  at::Tensor sums = at::empty({batch, all_values, 1 + groups},
                              at::TensorOptions(at::kDouble).device(device));
  const at::Tensor row_classes = classes ? classes->contiguous() : at::Tensor();
  for (FoldRowsCall& call : calls) {
    call.all_values = all_values;
    call.batch = static_cast<int>(batch);
    call.groups = static_cast<int>(1 + groups);
    if (row_classes.defined()) {
      call.classes = row_classes.const_data_ptr<uint8_t>();
      call.tokens = static_cast<int>(row_classes.size(1));
    }
    call.sums = sums.mutable_data_ptr<double>();
    if (call.values > 0 && batch > 0) {
      CheckLaunch("fold_rows", LaunchFoldRows(call, StreamOf(device)));
    }
  }
  return sums;
}

std::tuple<at::Tensor, at::Tensor> SinkColumnsCuda(
    const at::Tensor& column_mass_BHT, int64_t window) {
  const c10::DeviceGuard guard(column_mass_BHT.device());
  const at::Tensor mass_BHT = column_mass_BHT.contiguous();
  const int64_t tokens = mass_BHT.size(2);
  const int64_t wanted = std::min(kMaxSinks, tokens);
  const std::array<int64_t, 3> shape = {mass_BHT.size(0), mass_BHT.size(1),
                                        wanted};
  at::Tensor columns = at::empty(shape, mass_BHT.options().dtype(at::kLong));
  at::Tensor mass = at::empty(shape, mass_BHT.options());
  if (columns.numel() == 0) return {columns, mass};
  SinkColumnsCall call;
  call.column_mass = mass_BHT.const_data_ptr<float>();
  call.heads = mass_BHT.size(0) * mass_BHT.size(1);
  call.tokens = static_cast<int>(tokens);
  call.window = window;
  call.fewest_rows = FewestRowsOfSink(tokens, window);
  call.wanted = static_cast<int>(wanted);
  call.columns = columns.mutable_data_ptr<int64_t>();
  call.mass = mass.mutable_data_ptr<float>();
  CheckLaunch("sink_columns",
              LaunchSinkColumns(call, StreamOf(mass_BHT.device())));
  return {columns, mass};
}

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("fold_rows", sinkwatch::kernels::cuda::FoldRowsCuda);
  m.impl("sink_columns", sinkwatch::kernels::cuda::SinkColumnsCuda);
}
