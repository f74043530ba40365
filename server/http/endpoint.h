#ifndef SINKWATCH_SERVER_HTTP_ENDPOINT_H_
#define SINKWATCH_SERVER_HTTP_ENDPOINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "server/answers/table.h"
#include "server/http/params.h"
#include "server/query/queries.h"
#include "server/query/references.h"

namespace sinkwatch::http {

// What an endpoint answers, whatever the form: one table and facts beside it.
struct Answer {
  answers::Table table;
  answers::Extras extras;
  int64_t total = -1;       // X-Total-Count; -1: none
  std::string next_page{};  // page_token of the next page; empty: none
};

// What an endpoint answers that is no table.
struct Document {
  std::string content_type;
  std::string body;
};

// What endpoints ask.
struct Rooms {
  query::Queries& queries;
  query::References* references = nullptr;  // null: there are none
};

struct Parameter {
  const char* name;
  const char* about;
  bool required = false;
};

// All that there is to say of one endpoint: a new one is an element here and in
// no other list.
struct Endpoint {
  std::string name;  // below /api/v1/
  std::string about;
  std::vector<Parameter> parameters;  // beside format and shape
  std::vector<std::string> shapes;    // of JSON; the first is the default
  // Tagged by the bytes of the answer: reasons and progress change without
  // changing a count.
  bool tagged_by_content = false;
  // Turns parameters into a request of a room, and its answer into a table.
  absl::StatusOr<Answer> (*answer)(const Rooms& rooms, Params& params);
  // In its place, of an endpoint that is no table: in the shape that is asked
  // for.
  absl::StatusOr<Document> (*document)(const Rooms& rooms, Params& params,
                                       const std::string& shape) = nullptr;
};

// runs, checkpoints, metrics.
std::vector<Endpoint> ListEndpoints();
// series, matrix, emergence.
std::vector<Endpoint> ValueEndpoints();
// states, contrast, jumps, fits, summary, compare, report, references,
// reference_check.
std::vector<Endpoint> AnalysisEndpoints();

inline constexpr Parameter kRun = {"run", "name of the run", true};
inline constexpr Parameter kSomeRun = {"run",
                                       "name of the run; all if left out"};
inline constexpr Parameter kStage = {
    "stage", "stage; may be left out where there is one"};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_ENDPOINT_H_
