#ifndef SINKWATCH_SERVER_HTTP_API_H_
#define SINKWATCH_SERVER_HTTP_API_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "server/answers/table.h"
#include "server/http/http_server.h"
#include "server/http/params.h"
#include "server/query/queries.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::http {

// /api/v1/{runs,checkpoints,metrics,series,matrix,emergence}: the step plane
// for browsers, scripts and Grafana. Every answer is one table, as JSON with
// facts beside it, as a list of records, or as CSV; an error is
// {"error":{"code","rule","message"}}. /api/v1 lists them, and
// /api/v1/openapi.json describes them. Parameters, columns and caps of each:
// README.md.
//
// A list that was cut says so in every form: X-Total-Count is how much there
// is, and Link, rel="next", where the rest is.
//
// Thread-safe. `queries` must outlive it. Holds no state of its own.
class Api {
 public:
  // `version` goes into every ETag.
  Api(query::Queries* queries, std::string version);

  // `request.path` is "/api/v1" or begins with "/api/v1/". Never fails: errors
  // are responses.
  Response Handle(const Request& request) const;

  // Whether there is an endpoint of that path.
  static bool IsRoute(const std::string& path);

  // {"error":..} with the HTTP status that the code maps to.
  static Response Error(const absl::Status& status);

 private:
  struct Answer {
    answers::Table table;
    answers::Extras extras;
    int64_t total = -1;       // X-Total-Count; -1: none
    std::string next_page{};  // page_token of the next page; empty: none
  };
  using Endpoint = absl::StatusOr<Answer> (Api::*)(Params&) const;
  struct Parameter {
    std::string name;
    std::string about;
    bool required = false;
  };
  struct Route {
    std::string name;
    std::string about;
    std::vector<Parameter> parameters;
    std::vector<std::string> shapes;
    // Tagged by the bytes of the answer: reasons and progress change without
    // changing a count.
    bool tagged_by_content = false;
    Endpoint endpoint;
  };

  static const std::vector<Route>& Routes();
  static Response Index();
  static Response OpenApi();

  Response Serve(const Route& route, const Request& request) const;
  // The endpoint's answer in the form that the parameters ask for.
  Response Render(const Route& route, const Request& request,
                  Params& params) const;
  std::string TagOf(const std::string& content) const;

  absl::StatusOr<Answer> Runs(Params& params) const;
  absl::StatusOr<Answer> Checkpoints(Params& params) const;
  absl::StatusOr<Answer> Metrics(Params& params) const;
  absl::StatusOr<Answer> Series(Params& params) const;
  absl::StatusOr<Answer> Matrix(Params& params) const;
  absl::StatusOr<Answer> Emergence(Params& params) const;

  query::Queries* const queries_;
  const std::string version_;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_API_H_
