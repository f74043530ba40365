// gpt-neox and DeepSpeed: global_step1000 with a file per layer and
// model-parallel rank.
#include <algorithm>

#include "absl/strings/match.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

// verl names its folders so too.
bool Recognises(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  return subject.name.form == base::NameForm::kGlobalStep &&
         std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
           return absl::StartsWith(entry.name, "layer_") ||
                  absl::StartsWith(entry.name, "mp_rank_") ||
                  absl::StrContains(entry.name, "zero_pp_rank_");
         });
}

Verdict Judge(const Subject&) {
  return Unsupported(
      "gpt-neox",
      "gpt-neox's (DeepSpeed's) checkpoints are not supported: convert it to "
      "the Hugging Face form (gpt-neox: tools/ckpts/convert_neox_to_hf.py; "
      "DeepSpeed alone: zero_to_fp32.py)");
}

}  // namespace

const Layout kGptNeox = {"gpt-neox", {}, Recognises, Judge};

}  // namespace sinkwatch::discovery
