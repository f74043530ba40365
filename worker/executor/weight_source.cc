#include "worker/executor/weight_source.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "ATen/ops/cat.h"
#include "ATen/ops/full.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/base/status_macros.h"
#include "spdlog/spdlog.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::executor {
namespace {

using checkpoint::RowRange;
using model::Arrangement;
using model::TensorSource;
using model::TensorSpec;

constexpr int64_t kMaxNamed = 5;

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

const TensorSource* FirstThere(const checkpoint::Checkpoint& checkpoint,
                               const std::vector<TensorSource>& sources) {
  const TensorSource* named = nullptr;
  for (const TensorSource& source : sources) {
    const checkpoint::TensorInfo* const info = checkpoint.Find(source.name);
    if (info == nullptr) continue;
    if (info->shape == source.shape) return &source;
    if (named == nullptr) named = &source;
  }
  return named;
}

const TensorSource* SourceOf(const checkpoint::Checkpoint& checkpoint,
                             const TensorSpec& spec) {
  const TensorSource* const own = FirstThere(checkpoint, spec.own);
  return own != nullptr ? own : FirstThere(checkpoint, spec.sources);
}

std::string NamesOf(const TensorSpec& spec) {
  std::vector<std::string> names;
  for (const TensorSource& source : spec.sources) {
    std::string name = absl::StrCat("'", source.name, "'");
    // A name may be there in several shapes.
    if (names.empty() || names.back() != name) names.push_back(std::move(name));
  }
  return absl::StrJoin(names, " or ");
}

absl::StatusOr<const TensorSource*> FindSource(
    const checkpoint::Checkpoint& checkpoint, const TensorSpec& spec) {
  if (const TensorSource* source = SourceOf(checkpoint, spec)) return source;
  return absl::DataLossError(absl::StrCat(checkpoint.folder(), ": tensor ",
                                          NamesOf(spec), " is not there (",
                                          WhatIsThere(checkpoint), ")"));
}

// The stored rows that make up the tensor.
std::vector<RowRange> StoredRows(const TensorSpec& spec,
                                 const TensorSource& source) {
  if (spec.shape.empty()) return {{0, 1}};
  const int64_t rows = source.arrangement == Arrangement::kTransposed
                           ? spec.shape.at(1)
                           : spec.shape.at(0);
  if (!source.more.empty()) return {{0, source.shape.at(0)}};
  std::vector<RowRange> runs;
  for (int64_t run = 0; run < source.runs; ++run) {
    runs.push_back(
        {source.first_row + run * source.run_stride, rows / source.runs});
  }
  return runs;
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

// A tensor of several parts, or of none.
absl::StatusOr<at::Tensor> ReadWhole(checkpoint::Checkpoint& checkpoint,
                                     const TensorSpec& spec,
                                     const TensorSource* source) {
  if (source == nullptr) {
    return at::full(spec.shape, *spec.constant, at::kFloat);
  }
  std::vector<at::Tensor> runs;
  for (const RowRange& rows : StoredRows(spec, *source)) {
    auto run =
        checkpoint.ReadSlice(source->name, source->shape, rows, source->slab);
    if (!run.ok()) return run.status();
    runs.push_back(*std::move(run));
  }
  for (const TensorSource& part : source->more) {
    auto rows = checkpoint.ReadTensor(part.name, part.shape);
    if (!rows.ok()) return rows.status();
    runs.push_back(*std::move(rows));
  }
  return Arrange(at::cat(runs), *source);
}

bool IsBuffer(const std::string& name) {
  return std::any_of(
      std::begin(kBuffers), std::end(kBuffers),
      [&](const char* end) { return absl::EndsWith(name, end); });
}

// Whether `name` is below one of the layers behind the last.
bool IsOfUnreadLayer(const model::ModelShape& shape, const std::string& name) {
  for (const absl::string_view part : absl::StrSplit(name, '.')) {
    int64_t number = -1;
    if (absl::SimpleAtoi(part, &number)) {
      return number >= shape.layers &&
             number < int64_t{shape.layers} + shape.unread_layers;
    }
  }
  return false;
}

// `name` once for each number among its parts, with that number left out.
template <typename Function>
void ForEachNumber(const std::string& name, const Function& function) {
  std::vector<std::string> parts = absl::StrSplit(name, '.');
  for (std::string& part : parts) {
    int64_t number = -1;
    if (!absl::SimpleAtoi(part, &number)) continue;
    const std::string kept = std::exchange(part, "#");
    function(absl::StrJoin(parts, "."), number);
    part = kept;
  }
}

// What a model counts: for each name with a number left out, the largest.
class Counts {
 public:
  void Add(const std::string& name) {
    ForEachNumber(name, [&](const std::string& pattern, int64_t number) {
      int64_t& most = most_.try_emplace(pattern, number).first->second;
      most = std::max(most, number);
    });
  }

  // Whether `name` would be one of the model's if a number in it were smaller.
  bool IsBeyond(const std::string& name) const {
    bool beyond = false;
    ForEachNumber(name, [&](const std::string& pattern, int64_t number) {
      const auto found = most_.find(pattern);
      beyond = beyond || (found != most_.end() && number > found->second);
    });
    return beyond;
  }

 private:
  absl::flat_hash_map<std::string, int64_t> most_;
};

struct Unused {
  UnusedTensors tensors;
  std::string beyond;  // the first that a larger model of the kind would use
};

Unused FindUnused(const checkpoint::Checkpoint& checkpoint,
                  const model::ModelShape& shape,
                  const std::set<std::string>& expected) {
  Counts counts;
  for (const std::string& name : expected) counts.Add(name);
  Unused unused;
  for (const checkpoint::TensorInfo& tensor : checkpoint.tensors()) {
    const std::string& name = tensor.name;
    if (expected.count(name) != 0 || IsBuffer(name)) continue;
    if (IsOfUnreadLayer(shape, name)) continue;
    if (++unused.tensors.count <= kMaxNamed) {
      unused.tensors.first.push_back(name);
    }
    if (unused.beyond.empty() && counts.IsBeyond(name)) unused.beyond = name;
  }
  return unused;
}

// Names of another scheme are not a broken file.
absl::Status MissingError(const checkpoint::Checkpoint& checkpoint,
                          const TensorSpec& missing, bool any_known,
                          const UnusedTensors& unused) {
  if (checkpoint.tensors().empty() || unused.count == 0) {
    return FindSource(checkpoint, missing).status();
  }
  if (!any_known) {
    return absl::UnimplementedError(absl::StrCat(
        checkpoint.folder(), ": names of tensors that are not implemented (",
        WhatIsThere(checkpoint), "; expected '", missing.sources[0].name,
        "' and the like)"));
  }
  return absl::UnimplementedError(absl::StrCat(
      checkpoint.folder(), ": tensor ", NamesOf(missing), " is not there (of ",
      checkpoint.tensors().size(), " that are, ", unused.count,
      " have names that this model does not have, the first is ",
      files::Quoted(unused.first.front()), ")"));
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

}  // namespace

void WarnIfNotTied(checkpoint::Checkpoint& checkpoint, const TensorSpec& spec,
                   const std::vector<RowRange>& rows) {
  const TensorSource* const own = FirstThere(checkpoint, spec.own);
  const TensorSource* const other = FirstThere(checkpoint, spec.sources);
  if (own == nullptr || other == nullptr) return;
  const auto tensor = checkpoint.ReadRows(own->name, own->shape, rows);
  const auto tied = checkpoint.ReadRows(other->name, other->shape, rows);
  if (!tensor.ok() || !tied.ok()) return;  // whoever reads the weights says so
  if (tensor->equal(tied->to(tensor->scalar_type()))) return;
  spdlog::warn(
      "checkpoint has an output matrix of its own though its config ties it "
      "to the embedding; its own is used, as by transformers path={} tensor={}",
      checkpoint.folder(), own->name);
}

absl::StatusOr<WeightPlan> PlanWeight(const checkpoint::Checkpoint& checkpoint,
                                      const TensorSpec& spec,
                                      const WeightPart& part) {
  WeightPlan plan;
  plan.source = SourceOf(checkpoint, spec);
  if (plan.source == nullptr && !spec.constant) {
    return FindSource(checkpoint, spec).status();
  }
  plan.whole_only = plan.source == nullptr || plan.source->runs > 1 ||
                    !plan.source->more.empty();
  const bool as_stored =
      !plan.whole_only && plan.source->arrangement == Arrangement::kAsStored;
  if (part.kind != WeightPart::kWhole && !as_stored)
    plan.taken_rows = part.rows;
  if (plan.source == nullptr) return plan;
  const TensorSource& source = *plan.source;
  absl::Status readable = checkpoint.CheckTensor(source.name, source.shape);
  if (!readable.ok()) return readable;
  if (plan.whole_only) return plan;
  // What is arranged is read whole, whatever is taken of it.
  plan.digested = part.kind != WeightPart::kPicked || !as_stored;
  plan.stored_rows = StoredRows(spec, source);
  if (part.kind != WeightPart::kWhole && as_stored) {
    plan.stored_rows = part.rows;
    for (RowRange& range : plan.stored_rows) range.first += source.first_row;
  }
  plan.stored_shape = source.shape;
  plan.stored_shape.erase(plan.stored_shape.begin(),
                          plan.stored_shape.begin() + source.slab.size());
  if (!plan.stored_shape.empty()) plan.stored_shape[0] = 0;
  for (const RowRange& range : plan.stored_rows) {
    if (!plan.stored_shape.empty()) plan.stored_shape[0] += range.count;
  }
  plan.stored_type = checkpoint.Find(source.name)->dtype;
  return plan;
}

absl::StatusOr<checkpoint::RowsReader> OpenWeight(
    checkpoint::Checkpoint& checkpoint, const WeightPlan& plan) {
  const TensorSource& source = *plan.source;
  return plan.digested
             ? checkpoint.OpenSlice(source.name, source.shape,
                                    plan.stored_rows.front(), source.slab)
             : checkpoint.OpenRows(source.name, source.shape, plan.stored_rows,
                                   source.slab);
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
  if (plan->whole_only) {
    const auto whole = ReadWhole(checkpoint, spec, plan->source);
    if (!whole.ok() || plan->taken_rows.empty()) return whole;
    return TakeRows(*whole, plan->taken_rows);
  }
  const TensorSource& source = *plan->source;
  const auto stored =
      plan->digested
          ? checkpoint.ReadSlice(source.name, source.shape,
                                 plan->stored_rows.front(), source.slab)
          : checkpoint.ReadRows(source.name, source.shape, plan->stored_rows,
                                source.slab);
  if (!stored.ok()) return stored.status();
  return ArrangeWeight(*plan, *stored);
}

absl::StatusOr<UnusedTensors> CheckWeights(
    const model::Architecture& architecture,
    const checkpoint::Checkpoint& checkpoint) {
  const std::vector<TensorSpec> specs = AllTensors(architecture);
  std::set<std::string> expected;
  const TensorSpec* missing = nullptr;
  for (const TensorSpec& spec : specs) {
    const TensorSource* const source = SourceOf(checkpoint, spec);
    if (source == nullptr) {
      if (spec.constant) continue;
      if (missing == nullptr) missing = &spec;
      continue;
    }
    RETURN_IF_ERROR(checkpoint.CheckTensor(source->name, source->shape));
    expected.insert(source->name);
    for (const TensorSource& part : source->more) {
      RETURN_IF_ERROR(checkpoint.CheckTensor(part.name, part.shape));
      expected.insert(part.name);
    }
  }
  const Unused unused = FindUnused(checkpoint, architecture.shape(), expected);
  if (missing != nullptr) {
    return MissingError(checkpoint, *missing, !expected.empty(),
                        unused.tensors);
  }
  // Of trainers whose models change and whose configs do not say so.
  if (unused.tensors.count > 0 &&
      checkpoint.config().Has("every_tensor_is_used")) {
    return absl::UnimplementedError(absl::StrCat(
        checkpoint.folder(), ": tensor ",
        files::Quoted(unused.tensors.first.front()),
        " and what else is of a later model of this trainer is not "
        "implemented (",
        unused.tensors.count, " tensors are not of the model that is)"));
  }
  if (unused.beyond.empty()) return unused.tensors;
  return absl::DataLossError(absl::StrCat(
      checkpoint.folder(), ": tensor ", files::Quoted(unused.beyond),
      " is of a larger model than its config's, which has ",
      architecture.shape().layers, " layers"));
}

}  // namespace sinkwatch::executor
