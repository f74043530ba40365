// nanotron: a folder named by the step alone, a safetensors file per parameter
// and tensor-parallel rank below model/.
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

bool Recognises(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  return subject.name.form == base::NameForm::kLoose &&
         FindFile(entries, "config.json") == nullptr && !HasDcpFiles(entries) &&
         !HasWholeWeights(entries) &&
         (FindFolder(subject.listing, "model") != nullptr ||
          FindFile(entries, "model_config.json") != nullptr);
}

Verdict Judge(const Subject&) {
  return Unsupported(
      "nanotron",
      "nanotron's checkpoints are not supported: convert it to the Hugging "
      "Face form (its examples/llama/convert_nanotron_to_hf.py)");
}

}  // namespace

const Layout kNanotron = {"nanotron", {}, Recognises, Judge};

}  // namespace sinkwatch::discovery
