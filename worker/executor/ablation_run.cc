#include "worker/executor/ablation_run.h"

#include <algorithm>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "worker/executor/even_picks.h"

namespace sinkwatch::executor {
namespace {

using metrics::MetricVector;

// Below it a mean has no standard error.
constexpr int64_t kFewestSequences = 2;

std::vector<std::string> LabelsOf(const std::vector<metrics::Domain>& domains) {
  std::vector<std::string> labels;
  for (const metrics::Domain& domain : domains) labels.push_back(domain.label);
  return labels;
}

int64_t SequencesOf(const std::vector<AblationBatch>& batches) {
  int64_t sequences = 0;
  for (const AblationBatch& batch : batches) {
    sequences += batch.tokens_BT.size(0);
  }
  return sequences;
}

at::Tensor Picked(const at::Tensor& x, const at::Tensor& pick_P) {
  if (!x.defined() || !pick_P.defined()) return x;
  return x.index_select(0, pick_P.to(x.device()));
}

// The next `sequences` of `parts`, which begin at part `next`.
at::Tensor NextOf(const std::vector<at::Tensor>& parts, int64_t sequences,
                  size_t& next) {
  if (parts[next].size(0) == sequences) return parts[next++];
  std::vector<at::Tensor> mine;
  for (int64_t rows = 0; rows < sequences; ++next) {
    mine.push_back(parts[next]);
    rows += parts[next].size(0);
  }
  return at::cat(mine, 0);
}

}  // namespace

AblationRun::AblationRun(const model::Architecture& architecture,
                         const AblationOptions& options,
                         std::vector<metrics::Domain> domains,
                         std::vector<AblationBatch> batches,
                         const std::string& probe_digest,
                         int64_t tokens_per_batch,
                         std::function<absl::Status()> between)
    : architecture_(architecture),
      options_(options),
      domains_(std::move(domains)),
      tokens_per_batch_(tokens_per_batch),
      between_(std::move(between)),
      choice_(options.policy, architecture.shape(), LabelsOf(domains_),
              probe_digest, options.previous),
      budget_(architecture, SequencesOf(batches), options.policy.budget,
              options.seconds),
      sequences_(SequencesOf(batches)) {
  Pick(batches);
}

int64_t AblationRun::ShareOfDomain(int64_t modes) const {
  return budget_.SequencesOf(choice_.MostSets() * modes) /
         static_cast<int64_t>(domains_.size());
}

void AblationRun::Pick(const std::vector<AblationBatch>& batches) {
  std::vector<int64_t> of_domain(domains_.size(), 0);
  for (const AblationBatch& batch : batches) {
    of_domain[batch.domain] += batch.tokens_BT.size(0);
  }
  modes_ = options_.policy.modes;
  if (ShareOfDomain(static_cast<int64_t>(modes_.size())) < kFewestSequences &&
      !options_.policy.names_modes) {
    modes_ = {model::AblationMode::kZero};
  }
  const int64_t share = std::max(
      kFewestSequences, ShareOfDomain(static_cast<int64_t>(modes_.size())));
  std::vector<int64_t> first(domains_.size(), 0);
  for (const AblationBatch& batch : batches) {
    const int64_t begin = first[batch.domain];
    const int64_t end = begin + batch.tokens_BT.size(0);
    first[batch.domain] = end;
    Piece piece;
    piece.domain = batch.domain;
    piece.sequences = batch.tokens_BT.size(0);
    const int64_t all = of_domain[batch.domain];
    if (budget_.bounded() && share < all) {
      std::vector<int64_t> mine;
      for (int64_t pick : EvenPicks(share, all)) {
        if (pick >= begin && pick < end) mine.push_back(pick - begin);
      }
      piece.pick_P = at::tensor(mine, at::kLong);
    }
    piece.tokens_PT = Picked(batch.tokens_BT, piece.pick_P);
    piece.row_classes_PT = Picked(batch.row_classes_BT, piece.pick_P);
    picked_ += piece.tokens_PT.size(0);
    pieces_.push_back(std::move(piece));
  }
}

void AblationRun::KeepInputs(const std::vector<at::Tensor>& streams) {
  size_t next = 0;
  for (Piece& piece : pieces_) {
    piece.x_PTD = Picked(NextOf(streams, piece.sequences, next), piece.pick_P);
  }
}

int64_t AblationRun::RowsOf(const HeadSet& set) const {
  int64_t rows = 0;
  for (const Piece& piece : pieces_) {
    if (!set.heads[piece.domain].empty()) rows += piece.tokens_PT.size(0);
  }
  return rows;
}

bool AblationRun::FitsInMemory(int64_t rows) const {
  int64_t alive = 0;
  for (const Chunk& chunk : alive_) alive += chunk.x_BTD.size(0);
  const auto piece =
      std::find_if(pieces_.begin(), pieces_.end(), [](const Piece& some) {
        return some.x_PTD.defined() && some.x_PTD.size(0) > 0;
      });
  if (piece == pieces_.end()) return true;
  const int64_t row_bytes =
      static_cast<int64_t>(piece->x_PTD.nbytes()) / piece->x_PTD.size(0);
  return (alive + rows) * row_bytes <= options_.max_bytes;
}

std::vector<size_t> AblationRun::Wanted(
    int layer, const std::vector<MetricVector>& values) {
  std::vector<size_t> wanted;
  if (!first_pass_) {
    for (size_t v : waiting_) {
      if (variants_[v].layer == layer) wanted.push_back(v);
    }
    return wanted;
  }
  for (const HeadSet& set : choice_.Choose(layer, values)) {
    const int64_t rows = RowsOf(set);
    if (rows == 0) continue;
    // All modes of a head, or none: they are read beside each other.
    const int64_t modes = static_cast<int64_t>(modes_.size());
    if (!budget_.Take(rows * modes, layer)) {
      ++left_out_by_budget_;
      continue;
    }
    for (model::AblationMode mode : modes_) {
      Variant variant{layer, set, mode, {}};
      for (const metrics::Domain& domain : domains_) {
        variant.difference.emplace_back(domain.classes.size());
      }
      wanted.push_back(variants_.size());
      variants_.push_back(std::move(variant));
    }
  }
  return wanted;
}

at::Tensor AblationRun::TokensOf(const Chunk& chunk) const {
  std::vector<at::Tensor> tokens;
  for (const Segment& segment : chunk.segments) {
    tokens.push_back(pieces_[segment.piece].tokens_PT);
  }
  return at::cat(tokens, 0);
}

absl::Status AblationRun::AddHeadSlice(const model::TensorMap& head,
                                       int64_t first) {
  for (Chunk& chunk : alive_) {
    if (chunk.loss.empty()) chunk.loss.emplace_back(TokensOf(chunk));
    chunk.loss[0].AddSlice(architecture_, head, first, chunk.x_BTD);
    if (absl::Status status = between_(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void AblationRun::FoldLosses(const std::vector<at::Tensor>& plain) {
  size_t next = 0;
  for (Piece& piece : pieces_) {
    if (plain.empty()) break;
    piece.loss_PT = Picked(NextOf(plain, piece.sequences, next), piece.pick_P);
  }
  for (const Chunk& chunk : alive_) {
    const at::Tensor loss_BT = chunk.loss[0].Finish();
    int64_t begin = 0;
    for (const Segment& segment : chunk.segments) {
      const Piece& piece = pieces_[segment.piece];
      const int64_t end = begin + RowsOf(segment);
      variants_[segment.variant].difference[piece.domain].Fold(
          loss_BT.slice(0, begin, end) - piece.loss_PT, piece.row_classes_PT);
      begin = end;
    }
  }
  alive_.clear();
  waiting_ = std::exchange(postponed_, {});
}

void AblationRun::StartPass(
    const std::function<at::Tensor(const at::Tensor& tokens_PT)>& embed) {
  first_pass_ = false;
  ++passes_;
  for (Piece& piece : pieces_) {
    if (piece.tokens_PT.size(0) > 0) piece.x_PTD = embed(piece.tokens_PT);
  }
}

}  // namespace sinkwatch::executor
