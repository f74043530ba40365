#ifndef SINKWATCH_SERVER_HTTP_PARAMS_H_
#define SINKWATCH_SERVER_HTTP_PARAMS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::http {

// `value` as it stands in a query string: everything but letters, digits and
// -._~ as %XX.
std::string EscapeParameter(absl::string_view value);

// The query string of a URL. Nothing is ignored: an unknown, repeated or
// malformed parameter is an error, because a misspelt selector would answer
// another question than the one that was asked.
//
// Getters remember the first error, so a handler reads all its parameters and
// then looks at status() once.
class Params {
 public:
  // Errors (rules): "encoding", "repeated_parameter", "unknown_parameter".
  static absl::StatusOr<Params> Parse(absl::string_view query,
                                      const std::vector<std::string>& allowed);

  bool Has(const std::string& name) const { return values_.count(name) > 0; }
  // Rule "missing_parameter".
  std::string Required(const std::string& name);
  std::string Text(const std::string& name, absl::string_view otherwise) const;
  // Rule "not_a_number" or "out_of_range".
  int64_t Int(const std::string& name, int64_t otherwise, int64_t min,
              int64_t max);
  double Number(const std::string& name, double otherwise);
  // "true", "1", "false", "0". Rule "not_a_boolean".
  bool Bool(const std::string& name);
  // As answers::ParseInts; absent: all.
  std::vector<int32_t> Ints(const std::string& name);
  // One of `choices`, the first if absent. Rule "unknown_value".
  std::string Choice(const std::string& name,
                     const std::vector<std::string>& choices);

  const absl::Status& status() const { return status_; }

 private:
  void Fail(absl::string_view rule, const std::string& message);

  std::map<std::string, std::string> values_;
  absl::Status status_;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_PARAMS_H_
