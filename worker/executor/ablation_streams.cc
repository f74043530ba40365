// The streams of an AblationRun, through one layer.
#include <algorithm>
#include <utility>

#include "ATen/ops/cat.h"
#include "worker/executor/ablation_run.h"
#include "worker/model/intervention.h"

namespace sinkwatch::executor {

using metrics::MetricVector;

absl::Status AblationRun::RunLayer(int layer, const model::TensorMap& weights,
                                   const std::vector<MetricVector>& values) {
  budget_.Enter();
  absl::Status status = Advance(layer, weights);
  if (status.ok()) status = Begin(layer, weights, Wanted(layer, values));
  if (status.ok() && !first_pass_) status = AdvanceInputs(layer, weights);
  if (!status.ok()) return status;
  KeepTime(layer);
  budget_.Leave();
  return absl::OkStatus();
}

absl::Status AblationRun::Advance(int layer, const model::TensorMap& weights) {
  model::NullRecorder recorder;
  for (Chunk& chunk : alive_) {
    chunk.x_BTD = architecture_.Block(layer, weights, chunk.x_BTD, recorder);
    budget_.Did(chunk.x_BTD.size(0), layer);
    if (absl::Status status = between_(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AblationRun::AdvanceInputs(int layer,
                                        const model::TensorMap& weights) {
  model::NullRecorder recorder;
  for (Piece& piece : pieces_) {
    if (piece.x_PTD.size(0) == 0) continue;
    piece.x_PTD = architecture_.Block(layer, weights, piece.x_PTD, recorder);
    if (absl::Status status = between_(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AblationRun::Begin(int layer, const model::TensorMap& weights,
                                const std::vector<size_t>& variants) {
  std::vector<Segment> segments;
  int64_t rows = 0;
  for (size_t v : variants) {
    const int64_t more = RowsOf(variants_[v].set);
    // One always goes, or there would be no end of passes.
    if (!FitsInMemory(rows + more) && (rows > 0 || !alive_.empty())) {
      Postpone(v);
      continue;
    }
    for (size_t p = 0; p < pieces_.size(); ++p) {
      const Piece& piece = pieces_[p];
      const int64_t tokens = piece.tokens_PT.numel();
      if (tokens == 0 || variants_[v].set.heads[piece.domain].empty()) continue;
      const int64_t length = piece.tokens_PT.size(1);
      if (rows * length + tokens > tokens_per_batch_ && rows > 0) {
        absl::Status status =
            BeginChunk(layer, weights, std::exchange(segments, {}));
        if (!status.ok()) return status;
        rows = 0;
      }
      segments.push_back({v, p});
      rows += piece.tokens_PT.size(0);
    }
  }
  if (segments.empty()) return absl::OkStatus();
  return BeginChunk(layer, weights, std::move(segments));
}

void AblationRun::Postpone(size_t variant) {
  // Another pass has a price that no budget holds.
  if (budget_.bounded()) {
    variants_[variant].dropped = true;
    ++left_out_by_memory_;
  } else {
    postponed_.push_back(variant);
  }
}

absl::Status AblationRun::BeginChunk(int layer, const model::TensorMap& weights,
                                     std::vector<Segment> segments) {
  std::vector<at::Tensor> x;
  std::vector<model::AblatedRows> rows;
  int64_t begin = 0;
  for (const Segment& segment : segments) {
    const Variant& variant = variants_[segment.variant];
    const Piece& piece = pieces_[segment.piece];
    x.push_back(piece.x_PTD);
    const int64_t end = begin + RowsOf(segment);
    rows.push_back({begin, end, variant.set.heads[piece.domain], variant.mode});
    begin = end;
  }
  model::HeadAblation ablation(layer, std::move(rows));
  model::InterveningRecorder recorder(ablation);
  Chunk chunk;
  chunk.segments = std::move(segments);
  chunk.x_BTD = architecture_.Block(layer, weights, at::cat(x, 0), recorder);
  budget_.Did(chunk.x_BTD.size(0), layer);
  alive_.push_back(std::move(chunk));
  return between_();
}

void AblationRun::KeepTime(int layer) {
  const auto alive = [&] {
    int64_t rows = 0;
    for (const Chunk& chunk : alive_) rows += chunk.x_BTD.size(0);
    return rows;
  };
  if (!budget_.bounded() || alive_.empty()) return;
  // Devices work behind the caller's back; the clock is to see it.
  alive_.back().x_BTD.select(0, 0).select(0, 0).select(0, 0).item();
  while (!alive_.empty() && !budget_.IsInTime(layer, alive())) {
    const Variant& youngest = variants_[alive_.back().segments.back().variant];
    const int at_layer = youngest.layer;
    const auto head = youngest.set.head;
    const auto state = youngest.set.state;
    for (Variant& variant : variants_) {
      variant.dropped = variant.dropped || (variant.layer == at_layer &&
                                            variant.set.head == head &&
                                            variant.set.state == state);
    }
    ++left_out_by_time_;
    DropDropped();
  }
}

void AblationRun::DropDropped() {
  for (Chunk& chunk : alive_) {
    std::vector<Segment> kept;
    std::vector<at::Tensor> x;
    int64_t begin = 0;
    for (const Segment& segment : chunk.segments) {
      const int64_t end = begin + RowsOf(segment);
      if (!variants_[segment.variant].dropped) {
        kept.push_back(segment);
        x.push_back(chunk.x_BTD.slice(0, begin, end));
      }
      begin = end;
    }
    if (kept.size() == chunk.segments.size()) continue;
    chunk.segments = std::move(kept);
    chunk.x_BTD = x.empty() ? at::Tensor() : at::cat(x, 0);
  }
  alive_.erase(
      std::remove_if(alive_.begin(), alive_.end(),
                     [](const Chunk& chunk) { return chunk.segments.empty(); }),
      alive_.end());
}

}  // namespace sinkwatch::executor
