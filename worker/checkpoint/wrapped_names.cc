#include "worker/checkpoint/wrapped_names.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr absl::string_view kWrappers[] = {
    "module",          "_orig_mod",
    "_fpw_module",     "_fsdp_wrapped_module",
    "_forward_module", "_checkpoint_wrapped_module",
    "language_model",  "text_model",
};

bool IsWrapper(absl::string_view part) {
  return std::find(std::begin(kWrappers), std::end(kWrappers), part) !=
         std::end(kWrappers);
}

// How names begin in the schemes that are read. Hugging Face's "model." may
// stand before all of a tied model's, and OLMo's before its "transformer.".
constexpr absl::string_view kRoots[] = {
    "blocks.",  "decoder.", "embedding.", "embeddings.",     "gpt_neox.",
    "lm_head.", "model.",   "output.",    "tok_embeddings.", "transformer.",
};
constexpr int kMaxAround = 4;

bool BeginsAsScheme(absl::string_view name) {
  return std::any_of(
      std::begin(kRoots), std::end(kRoots),
      [&](absl::string_view root) { return absl::StartsWith(name, root); });
}

// "net." if all names begin so and are names of a scheme without it; empty if
// there is no such part.
std::string ModuleAround(const std::vector<StoredTensor>& tensors) {
  if (tensors.empty()) return "";
  const std::string& first = tensors.front().name;
  const std::string part = first.substr(0, first.find('.') + 1);
  if (part.empty() || (part != "model." && BeginsAsScheme(part))) return "";
  bool leaves_scheme = false;
  for (const StoredTensor& tensor : tensors) {
    absl::string_view rest = tensor.name;
    if (!absl::ConsumePrefix(&rest, part)) return "";
    leaves_scheme |= BeginsAsScheme(rest);
  }
  return leaves_scheme ? part : "";
}

}  // namespace

std::string UnwrappedName(absl::string_view name) {
  std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  // The last part is the tensor's own.
  parts.erase(std::remove_if(parts.begin(), parts.end() - 1, IsWrapper),
              parts.end() - 1);
  return absl::StrJoin(parts, ".");
}

absl::Status UnwrapNames(std::vector<StoredTensor>& tensors) {
  absl::flat_hash_set<std::string> seen;
  for (StoredTensor& tensor : tensors) {
    std::string name = UnwrappedName(tensor.name);
    if (!seen.insert(name).second) {
      return absl::UnimplementedError(absl::StrCat(
          "two tensors are ", files::Quoted(name),
          " once the parts that wrappers add to names are taken off, one of "
          "them ",
          files::Quoted(tensor.name)));
    }
    tensor.name = std::move(name);
  }
  for (int around = 0; around < kMaxAround; ++around) {
    const std::string part = ModuleAround(tensors);
    for (StoredTensor& tensor : tensors) tensor.name.erase(0, part.size());
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::checkpoint
