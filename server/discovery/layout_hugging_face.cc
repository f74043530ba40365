// save_pretrained: config.json (written first), weights, and where they are
// sharded an index (written last). Also OLMo-core's unsharded checkpoints:
// config.json and model.safetensors or model.pt.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

constexpr const char* kFiles[] = {"config.json",
                                  "model.safetensors",
                                  "model.safetensors.index.json",
                                  "model-#-of-#.safetensors",
                                  "pytorch_model.bin",
                                  "pytorch_model.bin.index.json",
                                  "pytorch_model-#-of-#.bin",
                                  "model.pt",
                                  "model/*.safetensors"};

bool Recognises(const Subject&) { return true; }

// model/chunk-00000.safetensors,
// model/blocks-0-attention-w_q-weight.safetensors
bool IsSplit(const Listing& listing) {
  const Entries* model = FindFolder(listing, "model");
  if (model == nullptr) return false;
  for (const Entry& entry : *model) {
    if (absl::EndsWith(entry.name, ".safetensors")) return true;
  }
  return false;
}

Verdict Judge(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  if (IsSplit(subject.listing) && !HasWholeWeights(entries)) {
    return Unsupported(
        "olmo-core-split",
        "OLMo-core's split weights (model/*.safetensors) are not supported: "
        "unshard into one model.safetensors");
  }
  for (const Entry& entry : entries) {
    if (base::IsUnderWay(entry.name)) {
      return WaitingFor(absl::StrCat(entry.name, " is still being written"));
    }
  }
  // Whether it is there is asked first, because save_pretrained writes it
  // first.
  if (FindFile(entries, "config.json") != nullptr ||
      !subject.has_model_config) {
    const std::string why = WhyFileMissing(entries, "config.json");
    if (!why.empty()) return WaitingFor(why);
  }
  return WaitingFor(WhyWeightsMissing(entries));
}

}  // namespace

const Layout kHuggingFace = {"Hugging Face", kFiles, Recognises, Judge};

}  // namespace sinkwatch::discovery
