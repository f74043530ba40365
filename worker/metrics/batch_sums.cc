#include "worker/metrics/batch_sums.h"

#include <algorithm>
#include <set>
#include <utility>

#include "ATen/ops/arange.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/ones.h"
#include "c10/core/impl/VirtualGuardImpl.h"
#include "c10/util/Exception.h"

namespace sinkwatch::metrics {
namespace {

int64_t SequencesOf(const LayerBatch& batch) {
  for (const at::Tensor* x :
       {&batch.resid_post_BTD, &batch.resid_pre_BTD, &batch.q_BHTE,
        &batch.k_BGTE, &batch.v_BGTE, &batch.z_BHTE}) {
    if (x->defined()) return x->size(0);
  }
  return 0;
}

at::Device DeviceOf(const LayerBatch& batch) {
  for (const at::Tensor* x :
       {&batch.resid_post_BTD, &batch.resid_pre_BTD, &batch.q_BHTE,
        &batch.k_BGTE, &batch.v_BGTE, &batch.z_BHTE}) {
    if (x->defined()) return x->device();
  }
  return at::kCPU;
}

// Planes side by side in dimension 1, as doubles. A GPU's floats are first laid
// side by side, then widened: that is two launches for all of them. Floats come
// before others.
at::Tensor SideBySide(const std::vector<at::Tensor>& planes) {
  std::vector<at::Tensor> parts;
  size_t floats = 0;
  while (!planes[0].is_cpu() && floats < planes.size() &&
         planes[floats].scalar_type() == at::kFloat) {
    ++floats;
  }
  if (floats > 0) {
    parts.push_back(
        at::cat(at::TensorList(planes).slice(0, floats), 1).to(at::kDouble));
  }
  for (size_t i = floats; i < planes.size(); ++i) {
    parts.push_back(planes[i].to(at::kDouble));
  }
  return at::cat(parts, 1);
}

// Of planes [B,N,T]: sums [B, all N, C] over the rows of each group.
at::Tensor SumsOverRows(const std::vector<at::Tensor>& planes,
                        const at::Tensor& groups_BTC) {
  const bool floats = std::all_of(
      planes.begin(), planes.end(),
      [](const at::Tensor& x) { return x.scalar_type() == at::kFloat; });
  if (!planes[0].is_cpu() && floats && groups_BTC.size(2) == 1) {
    return at::cat(planes, 1).sum(-1, /*keepdim=*/true, at::kDouble);
  }
  return at::bmm(SideBySide(planes), groups_BTC);
}

}  // namespace

at::Tensor StartCopyToCpu(const at::Tensor& x) {
  if (x.is_cpu()) return x;
  at::Tensor copy = at::empty(
      x.sizes(), at::TensorOptions(x.scalar_type()).pinned_memory(true));
  return copy.copy_(x, /*non_blocking=*/true);
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

BatchSums::BatchSums(LayerStatistics& statistics,
                     const std::vector<Term>& terms, int64_t classes)
    : sequences_(SequencesOf(statistics.batch())), slots_(terms.size()) {
  const LayerBatch& batch = statistics.batch();
  at::Tensor groups_BTC = RowGroups(batch.row_classes_BT, classes, sequences_,
                                    statistics.tokens(), DeviceOf(batch));
  std::set<Rows> kinds;
  for (const Term& term : terms) kinds.insert(term.rows);
  for (Rows rows : kinds) AddBlock(statistics, terms, rows, groups_BTC);
  const at::Device device = groups_BTC.device();
  if (device.is_cpu()) return;
  arrived_.emplace(device.type());
  arrived_->record(
      c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

void BatchSums::Wait() {
  if (arrived_) arrived_->synchronize();
}

void BatchSums::AddBlock(LayerStatistics& statistics,
                         const std::vector<Term>& terms, Rows rows,
                         const at::Tensor& groups_BTC) {
  const bool whole = rows == Rows::kWholeSequence;
  const QueryRows range =
      whole ? QueryRows{0, 1}
            : QueryRowsOf(rows, statistics.tokens(),
                          statistics.batch().attention.window);
  if (range.size() == 0) return;
  std::vector<std::pair<size_t, at::Tensor>> placed;  // by term
  for (size_t i = 0; i < terms.size(); ++i) {
    if (terms[i].rows != rows) continue;
    at::Tensor plane = terms[i].plane(statistics);
    if (whole) plane = plane.unsqueeze(-1);
    placed.emplace_back(i, plane.narrow(-1, range.begin, range.size()));
  }
  std::stable_partition(placed.begin(), placed.end(), [](const auto& place) {
    return place.second.scalar_type() == at::kFloat;
  });
  std::vector<at::Tensor> planes;
  int64_t offset = 0;
  for (auto& [term, plane] : placed) {
    slots_[term] = {blocks_.size(), offset, plane.size(1)};
    offset += plane.size(1);
    planes.push_back(std::move(plane));
  }
  // A last plane of ones counts the rows.
  planes.push_back(at::ones(
      {sequences_, 1, range.size()},
      groups_BTC.options().dtype(planes.back().scalar_type() == at::kFloat
                                     ? at::kFloat
                                     : at::kDouble)));
  const at::Tensor sums_BNC =
      whole ? SideBySide(planes)
            : SumsOverRows(planes,
                           groups_BTC.narrow(1, range.begin, range.size()));
  blocks_.push_back(StartCopyToCpu(sums_BNC.contiguous()));
}

BatchSums::Sum BatchSums::At(size_t term, int64_t sequence, int64_t value,
                             int64_t group) const {
  const Slot& slot = slots_[term];
  const at::Tensor& block = blocks_[slot.block];
  const int64_t values = block.size(1), groups = block.size(2);
  const double* sums =
      block.const_data_ptr<double>() + sequence * values * groups + group;
  return {sums[(slot.offset + value) * groups], sums[(values - 1) * groups]};
}

}  // namespace sinkwatch::metrics
