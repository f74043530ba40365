// The endpoints that list: runs, checkpoints, metrics.
#include <utility>

#include "proto/base/status_macros.h"
#include "server/answers/names.h"
#include "server/answers/parse.h"
#include "server/answers/tables.h"
#include "server/http/endpoint.h"

namespace sinkwatch::http {
namespace {

constexpr int kPage = 500;

answers::Table OneColumn(const std::string& column,
                         const answers::Repeated<std::string>& values) {
  answers::Table table{{column}, {}};
  for (const std::string& value : values) table.rows.push_back({value});
  return table;
}

absl::StatusOr<Answer> Runs(const Rooms& rooms, Params& params) {
  const std::string shape = params.Text("shape", "table");
  Answer answer;
  answers::Repeated<v1::RunStatus> all;
  if (shape == "stages" || shape == "domains" || params.Has("run")) {
    const std::string name = params.Required("run");
    RETURN_IF_ERROR(params.status());
    ASSIGN_OR_RETURN(*all.Add(), rooms.queries.Run(name));
  }
  if (shape == "stages" || shape == "domains") {
    answer.table = shape == "stages" ? OneColumn("stage", all[0].stages())
                                     : OneColumn("domain", all[0].domains());
    return answer;
  }
  v1::ListRunsRequest request;
  request.set_page_size(kPage);
  while (!params.Has("run")) {
    ASSIGN_OR_RETURN(const v1::ListRunsResponse page,
                     rooms.queries.Runs(request));
    all.MergeFrom(page.runs());
    request.set_page_token(page.next_page_token());
    if (request.page_token().empty()) break;
  }
  answer.table = answers::RunsTable(all);
  answers::Extras states = answers::Extras::array();
  for (v1::JobState state : answers::AllStates()) {
    states.push_back(answers::StateName(state));
  }
  answer.extras = {{"states", std::move(states)}};
  return answer;
}

absl::StatusOr<Answer> Checkpoints(const Rooms& rooms, Params& params) {
  v1::ListCheckpointsRequest request;
  request.set_run(params.Required("run"));
  if (params.Has("stage")) request.set_stage(params.Text("stage", ""));
  if (params.Has("state")) {
    ASSIGN_OR_RETURN(const v1::JobState state,
                     answers::ParseState(params.Text("state", "")));
    request.add_states(state);
  }
  if (params.Choice("order", {"newest", "oldest"}) == "oldest") {
    request.set_order(v1::CHECKPOINT_ORDER_OLDEST_FIRST);
  }
  request.set_page_size(params.Int("limit", kPage, 1, query::kMaxCheckpoints));
  request.set_page_token(params.Text("page_token", ""));
  RETURN_IF_ERROR(params.status());
  ASSIGN_OR_RETURN(const v1::ListCheckpointsResponse list,
                   rooms.queries.Checkpoints(request));
  Answer answer;
  answer.table = answers::CheckpointsTable(list.checkpoints());
  answer.total = list.total();
  answer.next_page = list.next_page_token();
  answer.extras = {{"total", list.total()},
                   {"next_page_token", list.next_page_token()}};
  return answer;
}

absl::StatusOr<Answer> Metrics(const Rooms& rooms, Params& params) {
  v1::ListMetricsRequest request;
  request.set_run(params.Text("run", ""));
  request.set_page_size(kPage);
  Answer answer;
  answers::Repeated<v1::MetricDescriptor> all;
  do {
    ASSIGN_OR_RETURN(const v1::ListMetricsResponse list,
                     rooms.queries.Metrics(request));
    all.MergeFrom(list.metrics());
    request.set_page_token(list.next_page_token());
  } while (!request.page_token().empty());
  answer.table = answers::MetricsTable(all);
  return answer;
}

}  // namespace

std::vector<Endpoint> ListEndpoints() {
  return {{"runs",
           "the runs that are followed",
           {kSomeRun},
           {"table", "records", "stages", "domains"},
           true,
           Runs},
          {"checkpoints",
           "the checkpoints of a run, newest first",
           {kRun,
            kStage,
            {"state", "of this state only"},
            {"order", "newest or oldest first"},
            {"limit", "rows, 500 if left out, at most 5000"},
            {"page_token", "next_page_token of the page before"}},
           {"table", "records"},
           true,
           Checkpoints},
          {"metrics",
           "the metrics that have values, with their definitions",
           {kSomeRun},
           {"table", "records"},
           false,
           Metrics}};
}

}  // namespace sinkwatch::http
