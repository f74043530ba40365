#ifndef SINKWATCH_SERVER_QUERY_UNKNOWN_H_
#define SINKWATCH_SERVER_QUERY_UNKNOWN_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// The words of NOT_FOUND: what there is, shortened where that is long, and what
// was probably meant.
namespace sinkwatch::query {

// `none` says why there is nothing to choose from. UnknownName("there is no
// run", "olm", {"olmo", "toy"}, "none is configured") is
//   there is no run "olm"; there are olmo, toy; did you mean olmo?
absl::Status UnknownName(absl::string_view lack, const std::string& name,
                         const std::vector<std::string>& choices,
                         absl::string_view none);

// `... no layer 99; there are -1 to 31`.
absl::Status UnknownNumber(absl::string_view lack, int64_t number,
                           const std::set<int64_t>& choices);

// `... of step 120; the nearest measured steps are 100 and 500`. `measured`
// ascends.
absl::Status UnknownStep(absl::string_view lack, int64_t step,
                         const std::vector<int64_t>& measured);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_UNKNOWN_H_
