#ifndef SINKWATCH_PROTO_BASE_STATUS_MACROS_H_
#define SINKWATCH_PROTO_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// For functions that return absl::Status or absl::StatusOr.

// Returns the absl::Status that an expression gives, unless it is OK.
#define RETURN_IF_ERROR(...)                           \
  do {                                                 \
    absl::Status status_of_expression = (__VA_ARGS__); \
    if (!status_of_expression.ok()) {                  \
      return status_of_expression;                     \
    }                                                  \
  } while (false)

// Returns the error of an expression that gives an absl::StatusOr; otherwise
// moves its value to `lhs`, a variable or the declaration of one:
//   ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxBytes));
// Makes a second variable, so it is a statement of a block, never the whole
// body of an `if`. A comma in `lhs` needs a type alias; in the expression none.
#define ASSIGN_OR_RETURN(lhs, ...)                                           \
  SINKWATCH_ASSIGN_OR_RETURN(SINKWATCH_JOINED(status_or_at_line_, __LINE__), \
                             lhs, __VA_ARGS__)

#define SINKWATCH_ASSIGN_OR_RETURN(result, lhs, ...)   \
  auto result = (__VA_ARGS__);                         \
  if (!result.ok()) return std::move(result).status(); \
  lhs = *std::move(result)

#define SINKWATCH_JOINED(a, b) SINKWATCH_JOINED_AS_THEY_ARE(a, b)
#define SINKWATCH_JOINED_AS_THEY_ARE(a, b) a##b

#endif  // SINKWATCH_PROTO_BASE_STATUS_MACROS_H_
