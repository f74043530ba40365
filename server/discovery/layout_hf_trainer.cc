// Hugging Face's Trainer: checkpoint-1000 as save_pretrained writes it, then
// optimizer and scheduler, and trainer_state.json last.
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

bool Recognises(const Subject& subject) {
  return subject.name.form == NameForm::kCheckpoint;
}

Verdict Judge(const Subject& subject) {
  Verdict verdict = kHuggingFace.judge(subject);
  if (verdict.kind != Verdict::Kind::kComplete) return verdict;
  return WaitingFor(
      WhyFileMissing(subject.listing.entries, "trainer_state.json"));
}

}  // namespace

const Layout kHfTrainer = {"Hugging Face Trainer", Recognises, Judge};

}  // namespace sinkwatch::discovery
