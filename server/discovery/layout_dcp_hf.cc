// torch.distributed.checkpoint's Hugging Face writer, which writes no
// configuration: model-00001-of-00002.safetensors, then
// model.safetensors.index.json. Where every rank saves for itself and nobody
// consolidates, shard-00001-model-00001-of-00002.safetensors, and never an
// index; with consolidation those lie in sharded/.
#include "absl/strings/match.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

constexpr char kIndex[] = "model.safetensors.index.json";

constexpr const char* kFiles[] = {"config.json", kIndex,
                                  "model-#-of-#.safetensors",
                                  "model.safetensors", "shard-*.safetensors"};

// shard-00001-model-00001-of-00002.safetensors: parts of tensors.
bool HasRankShards(const Entries& entries) {
  for (const Entry& entry : entries) {
    if (!entry.is_folder && absl::StartsWith(entry.name, "shard-") &&
        absl::EndsWith(entry.name, ".safetensors")) {
      return true;
    }
  }
  return false;
}

// Consolidated beside the shards of the ranks, or on the way to it.
bool HasModelFiles(const Entries& entries) {
  for (const Entry& entry : entries) {
    if (!entry.is_folder && absl::StartsWith(entry.name, "model") &&
        absl::EndsWith(entry.name, ".safetensors")) {
      return true;
    }
  }
  return false;
}

bool Recognises(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  return HasRankShards(entries) ||
         (FindFile(entries, kIndex) != nullptr &&
          FindFile(entries, "config.json") == nullptr);
}

Verdict Judge(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  if (HasRankShards(entries) && !HasModelFiles(entries)) {
    return Unsupported(
        "dcp-hf-rank-shards",
        "shards of single ranks (shard-*.safetensors) are not supported: "
        "consolidate them (HuggingFaceStorageWriter's enable_consolidation, "
        "consolidate_safetensors_files)");
  }
  const std::string why = WhyWeightsMissing(entries);
  if (!why.empty()) return WaitingFor(why);
  return WaitingForConfig(subject, "the weights are whole");
}

}  // namespace

const Layout kDcpHf = {"torch.distributed.checkpoint, Hugging Face writer",
                       kFiles, Recognises, Judge};

}  // namespace sinkwatch::discovery
