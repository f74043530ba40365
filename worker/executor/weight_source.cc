#include "worker/executor/weight_source.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "ATen/ops/cat.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "spdlog/spdlog.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::executor {
namespace {

using checkpoint::RowRange;
using model::Arrangement;
using model::TensorSource;
using model::TensorSpec;

constexpr size_t kMaxNamesInWarning = 5;

// Ends of names of tensors that are no parameters (reference: the ignore lists
// of Hugging Face transformers' models).
constexpr const char* kBuffers[] = {
    ".rotary_emb.inv_freq",
    ".attention.bias",
    ".attention.masked_bias",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.mask",
    "freqs_cis",
    "rope.freqs",
};

std::string WhatIsThere(const checkpoint::Checkpoint& checkpoint) {
  const std::vector<checkpoint::TensorInfo>& tensors = checkpoint.tensors();
  if (tensors.empty()) return "no tensor is";
  return absl::StrCat("of ", tensors.size(), " that are the first is ",
                      files::Quoted(tensors.front().name));
}

absl::StatusOr<const TensorSource*> FindSource(
    const checkpoint::Checkpoint& checkpoint, const TensorSpec& spec) {
  for (const TensorSource& source : spec.sources) {
    if (checkpoint.Find(source.name) != nullptr) return &source;
  }
  std::vector<std::string> names;
  for (const TensorSource& source : spec.sources) {
    names.push_back(absl::StrCat("'", source.name, "'"));
  }
  return absl::DataLossError(absl::StrCat(
      checkpoint.folder(), ": tensor ", absl::StrJoin(names, " or "),
      " is not there (", WhatIsThere(checkpoint), ")"));
}

// How many stored rows make up the tensor.
int64_t StoredRows(const TensorSpec& spec, const TensorSource& source) {
  return source.arrangement == Arrangement::kTransposed ? spec.shape.at(1)
                                                        : spec.shape.at(0);
}

at::Tensor Arrange(const at::Tensor& stored, const TensorSource& source) {
  switch (source.arrangement) {
    case Arrangement::kTransposed:
      return stored.t().contiguous();
    case Arrangement::kRotaryPairs: {
      const int64_t pairs = stored.size(0) / source.heads / 2;
      return stored.unflatten(0, {source.heads, pairs, 2})
          .transpose(1, 2)
          .flatten(0, 2);
    }
    case Arrangement::kAsStored:
      break;
  }
  return stored;
}

at::Tensor TakeRows(const at::Tensor& tensor,
                    const std::vector<RowRange>& ranges) {
  std::vector<at::Tensor> parts;
  for (const RowRange& range : ranges) {
    parts.push_back(tensor.slice(0, range.first, range.first + range.count));
  }
  return at::cat(parts);
}

bool IsBuffer(const std::string& name) {
  return std::any_of(
      std::begin(kBuffers), std::end(kBuffers),
      [&](const char* end) { return absl::EndsWith(name, end); });
}

void WarnOfUnexpected(const checkpoint::Checkpoint& checkpoint,
                      const std::set<std::string>& expected) {
  std::vector<std::string> names;
  size_t count = 0;
  for (const checkpoint::TensorInfo& tensor : checkpoint.tensors()) {
    if (expected.count(tensor.name) != 0 || IsBuffer(tensor.name)) continue;
    if (++count <= kMaxNamesInWarning) names.push_back(tensor.name);
  }
  if (count == 0) return;
  spdlog::warn(
      "checkpoint has tensors that its config does not ask for "
      "path={} n={} first={}",
      checkpoint.folder(), count, absl::StrJoin(names, ","));
}

bool IsThere(const checkpoint::Checkpoint& checkpoint, const TensorSpec& spec) {
  return std::any_of(spec.sources.begin(), spec.sources.end(),
                     [&](const TensorSource& source) {
                       return checkpoint.Find(source.name) != nullptr;
                     });
}

// Names of another scheme, or below a prefix of a wrapper, are not a broken
// file.
absl::Status CheckNames(const std::vector<TensorSpec>& specs,
                        const checkpoint::Checkpoint& checkpoint) {
  const bool known = std::any_of(
      specs.begin(), specs.end(),
      [&](const TensorSpec& spec) { return IsThere(checkpoint, spec); });
  if (known || checkpoint.tensors().empty()) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(
      checkpoint.folder(), ": names of tensors that are not implemented (",
      WhatIsThere(checkpoint), "; expected '", specs.front().sources[0].name,
      "' and the like)"));
}

std::vector<TensorSpec> AllTensors(const model::Architecture& architecture) {
  std::vector<TensorSpec> all = architecture.EmbeddingTensors();
  const auto add = [&](std::vector<TensorSpec> specs) {
    std::move(specs.begin(), specs.end(), std::back_inserter(all));
  };
  for (int layer = 0; layer < architecture.shape().layers; ++layer) {
    add(architecture.LayerTensors(layer));
  }
  add(architecture.HeadTensors());
  return all;
}

// Whether `copy` holds the same rows as `tensor`.
bool IsSame(checkpoint::Checkpoint& checkpoint, const std::string& copy,
            const at::Tensor& tensor, const std::vector<int64_t>& shape,
            const std::vector<RowRange>& rows) {
  const auto read = checkpoint.ReadRows(copy, shape, rows);
  return read.ok() && read->equal(tensor.to(read->scalar_type()));
}

}  // namespace

void WarnOfOtherCopies(checkpoint::Checkpoint& checkpoint,
                       const TensorSpec& spec,
                       const std::vector<RowRange>& rows) {
  for (const std::string& copy : spec.copies) {
    if (checkpoint.Find(copy) == nullptr) continue;
    const auto tensor =
        ReadWeight(checkpoint, spec, {WeightPart::kPicked, rows});
    if (!tensor.ok()) return;  // whoever reads the weights says so
    if (IsSame(checkpoint, copy, *tensor, spec.shape, rows)) continue;
    spdlog::warn(
        "checkpoint has an output matrix of its own though its config ties it "
        "to the embedding; it is not used path={} tensor={}",
        checkpoint.folder(), copy);
  }
}

absl::StatusOr<WeightPlan> PlanWeight(const checkpoint::Checkpoint& checkpoint,
                                      const TensorSpec& spec,
                                      const WeightPart& part) {
  const auto source = FindSource(checkpoint, spec);
  if (!source.ok()) return source.status();
  absl::Status readable =
      checkpoint.CheckTensor((*source)->name, (*source)->shape);
  if (!readable.ok()) return readable;
  WeightPlan plan;
  plan.source = *source;
  // What is arranged is read whole, whatever is taken of it.
  plan.digested = part.kind != WeightPart::kPicked ||
                  (*source)->arrangement != Arrangement::kAsStored;
  const int64_t first = (*source)->first_row;
  plan.stored_rows = {{first, StoredRows(spec, **source)}};
  if (part.kind != WeightPart::kWhole) {
    if ((*source)->arrangement == Arrangement::kAsStored) {
      plan.stored_rows = part.rows;
      for (RowRange& range : plan.stored_rows) range.first += first;
    } else {
      plan.taken_rows = part.rows;
    }
  }
  plan.stored_shape = (*source)->shape;
  if (!plan.stored_shape.empty()) plan.stored_shape[0] = 0;
  for (const RowRange& range : plan.stored_rows) {
    if (!plan.stored_shape.empty()) plan.stored_shape[0] += range.count;
  }
  plan.stored_type = checkpoint.Find((*source)->name)->dtype;
  return plan;
}

absl::StatusOr<checkpoint::RowsReader> OpenWeight(
    checkpoint::Checkpoint& checkpoint, const WeightPlan& plan) {
  const TensorSource& source = *plan.source;
  return plan.digested
             ? checkpoint.OpenSlice(source.name, source.shape,
                                    plan.stored_rows.front())
             : checkpoint.OpenRows(source.name, source.shape, plan.stored_rows);
}

at::Tensor ArrangeWeight(const WeightPlan& plan, const at::Tensor& stored) {
  const at::Tensor whole = Arrange(stored, *plan.source);
  return plan.taken_rows.empty() ? whole : TakeRows(whole, plan.taken_rows);
}

absl::StatusOr<at::Tensor> ReadWeight(checkpoint::Checkpoint& checkpoint,
                                      const TensorSpec& spec,
                                      const WeightPart& part) {
  const auto plan = PlanWeight(checkpoint, spec, part);
  if (!plan.ok()) return plan.status();
  const TensorSource& source = *plan->source;
  const auto stored =
      plan->digested
          ? checkpoint.ReadSlice(source.name, source.shape,
                                 plan->stored_rows.front())
          : checkpoint.ReadRows(source.name, source.shape, plan->stored_rows);
  if (!stored.ok()) return stored.status();
  return ArrangeWeight(*plan, *stored);
}

absl::Status CheckWeights(const model::Architecture& architecture,
                          const checkpoint::Checkpoint& checkpoint) {
  const std::vector<TensorSpec> specs = AllTensors(architecture);
  absl::Status names = CheckNames(specs, checkpoint);
  if (!names.ok()) return names;
  std::set<std::string> expected;
  for (const TensorSpec& spec : specs) {
    expected.insert(spec.copies.begin(), spec.copies.end());
    const auto source = FindSource(checkpoint, spec);
    if (!source.ok()) return source.status();
    absl::Status status =
        checkpoint.CheckTensor((*source)->name, (*source)->shape);
    if (!status.ok()) return status;
    expected.insert((*source)->name);
  }
  WarnOfUnexpected(checkpoint, expected);
  return absl::OkStatus();
}

}  // namespace sinkwatch::executor
