// save_pretrained: config.json (written first), weights, and where they are
// sharded an index (written last). Also OLMo-core's unsharded checkpoints:
// config.json and model.safetensors or model.pt.
#include <algorithm>

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
                                  "ft-model-#-of-#.safetensors",
                                  "pytorch_model.bin",
                                  "pytorch_model.bin.index.json",
                                  "pytorch_model-#-of-#.bin",
                                  "model.pt",
                                  "model/*.safetensors"};

bool Recognises(const Subject&) { return true; }

// OLMo-core's model/chunk-00000.safetensors,
// model/blocks-0-attention-w_q-weight.safetensors.
bool IsSplit(const Entries& model) {
  return std::any_of(model.begin(), model.end(), [](const Entry& entry) {
    return absl::EndsWith(entry.name, ".safetensors");
  });
}

// Why weights that lie one folder deeper, in model/, are not read.
Verdict JudgeModelFolder(const Entries& model) {
  if (HasDcpFiles(model)) {
    return Unsupported(
        "dcp-below",
        "model/ is a torch.distributed.checkpoint in a folder of "
        "its own, which is not supported: move its files up");
  }
  if (HasWholeWeights(model) || FindFile(model, "config.json") != nullptr) {
    return Unsupported(
        "hugging-face-below",
        "model/ is a Hugging Face checkpoint in a folder of its own, which is "
        "not supported: give the run a root of such folders, or move the files "
        "up");
  }
  if (!IsSplit(model)) return Complete();
  return Unsupported(
      "olmo-core-split",
      "OLMo-core's split weights (model/*.safetensors) are not supported: "
      "unshard into one model.safetensors");
}

Verdict Judge(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  const Entries* const model = FindFolder(subject.listing, "model");
  if (model != nullptr && !HasWholeWeights(entries)) {
    Verdict verdict = JudgeModelFolder(*model);
    if (verdict.kind != Verdict::Kind::kComplete) return verdict;
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
