#include "worker/metrics/batch_sums.h"

#include <utility>

#include "ATen/ops/empty.h"
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

// Types that FoldRows takes.
at::Tensor InFoldedType(const at::Tensor& plane) {
  const at::ScalarType type = plane.scalar_type();
  const bool folded =
      type == at::kFloat || type == at::kDouble || type == at::kLong;
  return folded ? plane : plane.to(at::kDouble);
}

}  // namespace

at::Tensor StartCopyToCpu(const at::Tensor& x) {
  if (x.is_cpu()) return x;
  at::Tensor copy = at::empty(
      x.sizes(), at::TensorOptions(x.scalar_type()).pinned_memory(true));
  return copy.copy_(x, /*non_blocking=*/true);
}

BatchSums::BatchSums(LayerStatistics& statistics,
                     const std::vector<Term>& terms, int64_t classes)
    : sequences_(SequencesOf(statistics.batch())), slots_(terms.size()) {
  const LayerBatch& batch = statistics.batch();
  const bool has_classes = batch.row_classes_BT.defined() && classes > 0;
  groups_ = has_classes ? 1 + classes : 1;
  std::vector<kernels::RowTerm> folded;
  int64_t offset = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    auto term = RowTermOf(statistics, terms[i], slots_[i]);
    if (!term) continue;
    slots_[i].offset = offset;
    slots_[i].values = term->a.size(1);
    offset += slots_[i].values;
    folded.push_back(*std::move(term));
  }
  if (folded.empty()) return;
  const at::Device device = folded[0].a.device();
  const at::Tensor classes_BT =
      has_classes ? batch.row_classes_BT.to(device, /*non_blocking=*/true)
                  : at::Tensor();
  sums_BNC_ = StartCopyToCpu(
      kernels::FoldRows(folded, classes_BT, groups_ - 1).contiguous());
  sums_ = static_cast<double*>(sums_BNC_.mutable_data_ptr());
  all_values_ = offset;
  if (device.is_cpu()) return;
  arrived_.emplace(device.type());
  arrived_->record(
      c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

std::optional<kernels::RowTerm> BatchSums::RowTermOf(
    LayerStatistics& statistics, const Term& term, Slot& slot) {
  slot.rows = term.rows;
  const bool whole = term.rows == Rows::kWholeSequence;
  QueryRows range{0, 1};
  if (!whole) {
    range = QueryRowsOf(term.rows, statistics.tokens(),
                        statistics.batch().attention.window);
  }
  if (range.size() == 0) return std::nullopt;
  if (!whole) CountRows(statistics.batch(), term.rows, range);
  kernels::RowTerm row;
  if (const auto* tensor =
          std::get_if<at::Tensor (*)(LayerStatistics&)>(&term.plane)) {
    const at::Tensor plane = (*tensor)(statistics);
    row.a = InFoldedType(whole ? plane.unsqueeze(-1) : plane);
  } else {
    const Quantity quantity = std::get<1>(term.plane)(statistics);
    row = quantity.row;
    if (whole) {
      range = {quantity.first_row, row.a.size(2)};
      slot.of_rows = quantity.of_rows;
      slot.bound = quantity.bound;
      slot.count = static_cast<double>(range.size());
      row.largest = quantity.of_rows == OfRows::kLargest;
      if (range.size() == 0) return std::nullopt;
    }
  }
  row.first = range.begin;
  row.end = range.end;
  return row;
}

void BatchSums::CountRows(const LayerBatch& batch, Rows rows, QueryRows range) {
  std::vector<double>& counts = counts_[static_cast<size_t>(rows)];
  if (!counts.empty()) return;
  counts.assign(sequences_ * groups_, 0);
  const at::Tensor classes_BT =
      groups_ > 1 ? batch.row_classes_BT.contiguous() : at::Tensor();
  for (int64_t b = 0; b < sequences_; ++b) {
    counts[b * groups_] = static_cast<double>(range.size());
    if (groups_ == 1) continue;
    const uint8_t* const of_row =
        classes_BT.const_data_ptr<uint8_t>() + b * classes_BT.size(1);
    for (int64_t t = range.begin; t < range.end; ++t) {
      if (of_row[t] < groups_ - 1) ++counts[b * groups_ + 1 + of_row[t]];
    }
  }
}

void BatchSums::FinishSequences(const Slot& slot) {
  for (int64_t b = 0; b < sequences_; ++b) {
    double total = 0;
    for (int64_t i = 0; i < slot.values; ++i) total += SumAt(slot, b, i, 0);
    const double mean_of_all = total / static_cast<double>(slot.values);
    for (int64_t i = 0; i < slot.values; ++i) {
      double& sum = SumAt(slot, b, i, 0);
      if (slot.of_rows == OfRows::kMeanOverMeans) {
        sum = mean_of_all == 0 ? 0 : sum / mean_of_all;
        continue;
      }
      const double mean = sum / slot.count;
      // What is no number stays so: a comparison would hide it.
      sum = mean != mean ? mean : static_cast<double>(mean > slot.bound);
    }
  }
}

void BatchSums::Wait() {
  if (arrived_) arrived_->synchronize();
  for (const Slot& slot : slots_) {
    const bool finished =
        slot.of_rows == OfRows::kLargest || slot.of_rows == OfRows::kSum;
    if (slot.values > 0 && !finished) FinishSequences(slot);
  }
}

BatchSums::Sum BatchSums::At(size_t term, int64_t sequence, int64_t value,
                             int64_t group) const {
  const Slot& slot = slots_[term];
  const double rows =
      slot.rows == Rows::kWholeSequence
          ? 1
          : counts_[static_cast<size_t>(slot.rows)][sequence * groups_ + group];
  return {SumAt(slot, sequence, value, group), rows};
}

}  // namespace sinkwatch::metrics
