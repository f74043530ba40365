#ifndef SINKWATCH_SERVER_REFERENCES_REFERENCE_TABLE_H_
#define SINKWATCH_SERVER_REFERENCES_REFERENCE_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::references {

// What a table holds at most.
inline constexpr size_t kMaxBytes = size_t{1} << 20;
inline constexpr size_t kMaxPoints = 20'000;

// Reads a table of published numbers: RFC 4180 in UTF-8, with or without a byte
// order mark, with a header line that names metric, model, value and citation,
// and of revision, step, tokens, layer, head, protocol and over (mean, median,
// max, min) those that it has, in any order. An empty cell is not known.
// INVALID_ARGUMENT names line, column and rule; `name` is what the points say
// they are of.
absl::StatusOr<std::vector<v1::ReferencePoint>> ParseReference(
    const std::string& name, const std::string& csv);

// INVALID_ARGUMENT for what is no name of a table: letters, digits and "._-",
// at most 100 of them, not first a dot.
absl::Status CheckReferenceName(const std::string& name);

}  // namespace sinkwatch::references

#endif  // SINKWATCH_SERVER_REFERENCES_REFERENCE_TABLE_H_
