#ifndef SINKWATCH_SERVER_QUERY_NAME_LIST_H_
#define SINKWATCH_SERVER_QUERY_NAME_LIST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sinkwatch::query {

// INVALID_ARGUMENT where the names that a question lists are more than 64: each
// is as much work as a question of its own. `what` they are: "runs".
absl::Status CheckNameList(const char* what,
                           const std::vector<std::string>& names);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_NAME_LIST_H_
