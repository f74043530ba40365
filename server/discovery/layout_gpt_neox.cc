// gpt-neox and DeepSpeed: global_step1000 with a file per layer and
// model-parallel rank.
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

bool Recognises(const Subject& subject) {
  return subject.name.form == base::NameForm::kGlobalStep;
}

Verdict Judge(const Subject&) {
  return Unsupported(
      "gpt-neox",
      "gpt-neox's (DeepSpeed's) checkpoints are not supported: convert it to "
      "the Hugging Face form");
}

}  // namespace

const Layout kGptNeox = {"gpt-neox", Recognises, Judge};

}  // namespace sinkwatch::discovery
