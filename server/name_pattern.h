#ifndef SINKWATCH_SERVER_NAME_PATTERN_H_
#define SINKWATCH_SERVER_NAME_PATTERN_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sinkwatch/v1/config.pb.h"

namespace re2 {
class RE2;
}

namespace sinkwatch::server {

// A pattern of names out of the configuration: an RE2, which takes linear time
// whatever the name, with named groups. Immutable, cheap to copy, thread-safe.
class NamePattern {
 public:
  // INVALID_ARGUMENT with RE2's words if it is none, or is larger than 1 MiB
  // when compiled.
  static absl::StatusOr<NamePattern> Compile(const std::string& text);

  bool HasGroup(const std::string& name) const;
  // The named groups of a name that it matches from end to end, those that took
  // part; none of any other name. Bytes that are no UTF-8 match no letter.
  std::optional<std::map<std::string, std::string>> Match(
      const std::string& name) const;
  const std::map<int, std::string>& groups() const;

 private:
  explicit NamePattern(std::shared_ptr<const re2::RE2> pattern);
  std::shared_ptr<const re2::RE2> pattern_;
};

// What is wrong with the step_pattern or runs_below of a run, a sentence that
// names the field; OK if nothing is.
absl::Status CheckPatterns(const v1::RunConfig& run);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_NAME_PATTERN_H_
