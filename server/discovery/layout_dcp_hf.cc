// torch.distributed.checkpoint's Hugging Face writer: shards, then
// model.safetensors.index.json, and no configuration.
#include "absl/strings/match.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

constexpr char kIndex[] = "model.safetensors.index.json";

// shard-00001-model-00001-of-00002.safetensors, before they are consolidated.
bool HasRankShards(const Entries& entries) {
  for (const Entry& entry : entries) {
    if (!entry.is_folder && absl::StartsWith(entry.name, "shard-") &&
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
  std::string why = WhyFileMissing(entries, kIndex);
  if (why.empty() && !HasRankShards(entries)) why = WhyWeightsMissing(entries);
  if (!why.empty()) return WaitingFor(why);
  return WaitingForConfig(subject, "the weights are whole");
}

}  // namespace

const Layout kDcpHf = {"torch.distributed.checkpoint, Hugging Face writer",
                       Recognises, Judge};

}  // namespace sinkwatch::discovery
