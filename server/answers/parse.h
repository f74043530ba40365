#ifndef SINKWATCH_SERVER_ANSWERS_PARSE_H_
#define SINKWATCH_SERVER_ANSWERS_PARSE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::answers {

// INVALID_ARGUMENT that carries the broken rule's name beside its message.
absl::Status BadParameter(absl::string_view rule, absl::string_view message);
// The rule of a status: the one it carries, or one named after its code.
std::string RuleOf(const absl::Status& status);

// "3", "0,2,5", "0-3" or a mixture; empty or "*": empty, meaning all. A dash at
// the start is a sign. INVALID_ARGUMENT, rule "not_a_list".
absl::StatusOr<std::vector<int32_t>> ParseInts(const std::string& text);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_PARSE_H_
