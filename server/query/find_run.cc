#include "server/query/find_run.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace sinkwatch::query {

absl::StatusOr<v1::RunStatus> FindRun(
    const google::protobuf::RepeatedPtrField<v1::RunStatus>& runs,
    const std::string& name) {
  std::vector<std::string> names;
  for (const v1::RunStatus& run : runs) {
    if (run.name() == name) return run;
    names.push_back(run.name());
  }
  return absl::NotFoundError(
      absl::StrCat("there is no run \"", name, "\"",
                   names.empty() ? "; none is configured" : "; there are ",
                   absl::StrJoin(names, ", ")));
}

}  // namespace sinkwatch::query
