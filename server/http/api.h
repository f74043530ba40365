#ifndef SINKWATCH_SERVER_HTTP_API_H_
#define SINKWATCH_SERVER_HTTP_API_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/answers/table.h"
#include "server/answers/tables.h"
#include "server/http/http_server.h"
#include "server/http/params.h"
#include "server/store/store.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::http {

// /api/v1/{runs,checkpoints,metrics,series,matrix,emergence}: the step plane
// for browsers, scripts and Grafana. Every answer is one table, as JSON with
// facts beside it, as a list of records, or as CSV; an error is
// {"error":{"code","rule","message"}}. Parameters, columns and caps of each:
// README.md.
//
// Thread-safe. `store` must outlive it. Holds no state of its own.
class Api {
 public:
  // Why a run's root could not be read last time; empty if it could.
  using DiscoveryError = std::function<std::string(const std::string& run)>;

  // `version` goes into every ETag. `discovery_error` may be empty: the store
  // does not know such errors.
  Api(store::Store* store, std::string version, DiscoveryError discovery_error);

  // `request.path` begins with "/api/v1/". Never fails: errors are responses.
  Response Handle(const Request& request) const;

  // Whether there is an endpoint of that path.
  static bool IsRoute(const std::string& path);

  // {"error":..} with the HTTP status that the code maps to.
  static Response Error(const absl::Status& status);

 private:
  struct Answer {
    answers::Table table;
    answers::Extras extras;
  };
  using Endpoint = absl::StatusOr<Answer> (Api::*)(Params&) const;
  struct Route {
    std::vector<std::string> parameters;
    Endpoint endpoint;
  };

  static const std::map<std::string, Route>& Routes();
  // The endpoint's answer in the form that the parameters ask for.
  Response Render(Endpoint endpoint, const std::string& name,
                  Params& params) const;

  absl::StatusOr<Answer> Runs(Params& params) const;
  absl::StatusOr<Answer> Checkpoints(Params& params) const;
  absl::StatusOr<Answer> Metrics(Params& params) const;
  absl::StatusOr<Answer> Series(Params& params) const;
  absl::StatusOr<Answer> Matrix(Params& params) const;
  absl::StatusOr<Answer> Emergence(Params& params) const;

  absl::StatusOr<answers::Repeated<v1::RunStatus>> AllRuns() const;
  // NOT_FOUND, naming those that exist.
  absl::StatusOr<v1::RunStatus> FindRun(const std::string& name) const;
  // The parameters run, stage, domain and metric. A stage or domain that is
  // not given is the run's only one, or an error that lists them.
  absl::StatusOr<v1::SeriesSelector> Select(Params& params) const;
  // Select, and layer, head, agg, include_implausible.
  absl::StatusOr<v1::SeriesSelector> SelectSeries(Params& params) const;
  // All pages. INVALID_ARGUMENT, naming the cap as its rule, where there is too
  // much.
  absl::StatusOr<v1::QuerySeriesResponse> WholeSeries(
      const v1::SeriesSelector& selector, int64_t max_columns,
      int64_t max_rows) const;
  // Steps of the run without a value among `rows`, with state and reason.
  absl::StatusOr<std::string> Gaps(const v1::SeriesSelector& selector,
                                   const v1::QuerySeriesResponse& rows) const;
  // Changes with every commit and with every change of a job's state.
  absl::StatusOr<std::string> Tag() const;
  std::string TagOf(const std::string& content) const;

  store::Store* const store_;
  const std::string version_;
  const DiscoveryError discovery_error_;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_API_H_
