#include "server/query/name_list.h"

#include "absl/strings/str_cat.h"
#include "server/answers/parse.h"

namespace sinkwatch::query {
namespace {

constexpr size_t kMax = 64;

}  // namespace

absl::Status CheckNameList(const char* what,
                           const std::vector<std::string>& names) {
  if (names.size() <= kMax) return absl::OkStatus();
  return answers::BadParameter(
      "out_of_range",
      absl::StrCat(names.size(), " ", what, " are asked for, and ", kMax,
                   " is the most"));
}

}  // namespace sinkwatch::query
