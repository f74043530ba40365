#include "worker/checkpoint/wrapped_names.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
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
  return absl::OkStatus();
}

}  // namespace sinkwatch::checkpoint
