// OLMo-core. Synchronous saves are built in step1000-tmp and renamed, then
// .metadata.json, then config.json. Asynchronous ones, and those to a URL, fill
// model_and_optim in place: data files, .metadata, then .metadata.json, which
// is written after a failed save as well, then config.json after a good one.
#include "absl/strings/str_cat.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

constexpr const char* kFiles[] = {"config.json", "model_and_optim/.metadata",
                                  "model_and_optim/*.distcp"};

bool HasFolder(const Listing& listing, const char* name) {
  for (const Entry& entry : listing.entries) {
    if (entry.is_folder && entry.name == name) return true;
  }
  return false;
}

bool Recognises(const Subject& subject) {
  return HasFolder(subject.listing, "model_and_optim") ||
         HasFolder(subject.listing, "train") ||
         FindFile(subject.listing.entries, ".metadata.json") != nullptr;
}

Verdict Judge(const Subject& subject) {
  const Listing& listing = subject.listing;
  const Entries* model = FindFolder(listing, "model_and_optim");
  if (model == nullptr && FindFile(listing.entries, "config.json") != nullptr) {
    return kHuggingFace.judge(subject);  // unsharded beside the trainer's state
  }
  const Entries none;
  Verdict verdict =
      JudgeDcp(model == nullptr ? none : *model, "model_and_optim/");
  if (verdict.kind == Verdict::Kind::kComplete) {
    return WaitingForConfig(subject, "model_and_optim is whole");
  }
  if (verdict.kind == Verdict::Kind::kWaiting &&
      FindFile(listing.entries, ".metadata.json") != nullptr) {
    absl::StrAppend(&verdict.why,
                    " (.metadata.json is no proof: a failed save has it too)");
  }
  return verdict;
}

}  // namespace

const Layout kOlmoCore = {"OLMo-core", kFiles, Recognises, Judge};

}  // namespace sinkwatch::discovery
