#ifndef SINKWATCH_SERVER_HTTP_API_H_
#define SINKWATCH_SERVER_HTTP_API_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/http/endpoint.h"
#include "server/http/http_server.h"
#include "server/http/params.h"
#include "server/query/queries.h"
#include "server/query/references.h"

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
// Thread-safe. `queries` and `references` (null: there are none) must outlive
// it. Holds no state of its own.
class Api {
 public:
  // `version` goes into every ETag.
  Api(query::Queries* queries, query::References* references,
      std::string version);

  // `request.path` is "/api/v1" or begins with "/api/v1/". Never fails: errors
  // are responses.
  Response Handle(const Request& request) const;

  // Whether there is an endpoint of that path.
  static bool IsRoute(const std::string& path);

  // {"error":..} with the HTTP status that the code maps to.
  static Response Error(const absl::Status& status);

 private:
  static const std::vector<Endpoint>& Endpoints();
  static Response Index();
  static Response OpenApi();

  Response Serve(const Endpoint& endpoint, const Request& request) const;
  // The endpoint's answer in the form that the parameters ask for.
  Response Render(const Endpoint& endpoint, const Request& request,
                  Params& params) const;
  std::string TagOf(const std::string& content) const;

  query::Queries* const queries_;
  query::References* const references_;
  const std::string version_;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_API_H_
