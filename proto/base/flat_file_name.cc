#include "proto/base/flat_file_name.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace sinkwatch::base {

std::string MetaNameOf(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "model_")) return "";
  return absl::StrCat("meta_", name.substr(0, name.rfind('.')), ".json");
}

}  // namespace sinkwatch::base
