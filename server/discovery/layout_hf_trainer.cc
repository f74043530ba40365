// Hugging Face's Trainer: checkpoint-1000 as save_pretrained writes it, then
// optimizer and scheduler, and trainer_state.json last.
#include <algorithm>

#include "absl/strings/match.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

bool Recognises(const Subject& subject) {
  return subject.name.form == base::NameForm::kCheckpoint &&
         !HasDcpFiles(subject.listing.entries);
}

// pytorch_model_fsdp_0/, which the Trainer leaves for SHARDED_STATE_DICT.
bool HasFsdpShards(const Entries& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
    return entry.is_folder &&
           absl::StartsWith(entry.name, "pytorch_model_fsdp");
  });
}

Verdict Judge(const Subject& subject) {
  Verdict verdict = kHuggingFace.judge(subject);
  if (!WhyWeightsMissing(subject.listing.entries).empty() &&
      HasFsdpShards(subject.listing.entries)) {
    return Unsupported(
        "fsdp-shards",
        "FSDP's shards (pytorch_model_fsdp_*) are not supported: merge them, "
        "or train with FULL_STATE_DICT");
  }
  if (verdict.kind != Verdict::Kind::kComplete || subject.is_download) {
    return verdict;
  }
  return WaitingFor(
      WhyFileMissing(subject.listing.entries, "trainer_state.json"));
}

}  // namespace

const Layout kHfTrainer = {"Hugging Face Trainer", {}, Recognises, Judge};

}  // namespace sinkwatch::discovery
