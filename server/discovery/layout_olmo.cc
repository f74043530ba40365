// The legacy OLMo trainer. Local saves are built in step1000[-unsharded]-tmp
// and renamed; remote ones are uploaded file by file. Both write config.yaml
// last.
#include "absl/strings/str_cat.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

constexpr char kConfig[] = "config.yaml";

constexpr const char* kFiles[] = {kConfig,
                                  "model.safetensors",
                                  "model.pt",
                                  ".metadata",
                                  "*.distcp",
                                  "model_and_optim/.metadata",
                                  "model_and_optim/*.distcp",
                                  "rank#.pt",
                                  "model/rank#.pt"};

// rank0.pt at the top (torch_legacy) or in model (local).
bool HasForeignShards(const Listing& listing) {
  const Entries* model = FindFolder(listing, "model");
  return HasRankFiles(listing.entries) ||
         (model != nullptr && HasRankFiles(*model));
}

bool Recognises(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  if (FindFile(entries, kConfig) != nullptr) return true;
  return FindFile(entries, "config.json") == nullptr &&
         (HasForeignShards(subject.listing) || subject.name.unsharded);
}

Verdict JudgeWeights(const Subject& subject) {
  const Listing& listing = subject.listing;
  if (const Entries* model = FindFolder(listing, "model_and_optim")) {
    return JudgeDcp(*model, "model_and_optim/");
  }
  if (HasDcpFiles(listing.entries)) {
    return JudgeDcp(listing.entries, "");
  }
  if (HasForeignShards(listing)) {
    Verdict verdict = Complete();
    verdict.refused = true;
    return verdict;
  }
  return WaitingFor(WhyWeightsMissing(listing.entries));
}

Verdict Judge(const Subject& subject) {
  const std::string why = WhyFileMissing(subject.listing.entries, kConfig);
  if (!why.empty()) {
    return WaitingFor(absl::StrCat(why, " (the OLMo trainer writes it last)"));
  }
  return JudgeWeights(subject);
}

}  // namespace

const Layout kOlmo = {"OLMo (legacy trainer)", kFiles, Recognises, Judge};

}  // namespace sinkwatch::discovery
