#include "server/http/api.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/answers/parse.h"
#include "server/query/find_run.h"

namespace sinkwatch::http {
namespace {

constexpr int kPage = 500;
constexpr int kMaxLimit = 5000;

answers::Table OneColumn(const std::string& column,
                         const answers::Repeated<std::string>& values) {
  answers::Table table{{column}, {}};
  for (const std::string& value : values) table.rows.push_back({value});
  return table;
}

int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return 503;
    default:
      return 500;
  }
}

// "W/"a"" among the tags of If-None-Match ("W/"a", W/"b"" or "*").
bool Matches(const std::string& header, const std::string& tag) {
  return header == "*" ||
         absl::StrContains(header, absl::StripPrefix(tag, "W/"));
}

}  // namespace

Api::Api(store::Store* store, std::string version,
         DiscoveryError discovery_error)
    : store_(store),
      version_(std::move(version)),
      discovery_error_(std::move(discovery_error)) {}

Response Api::Error(const absl::Status& status) {
  Response response;
  response.status = HttpStatus(status.code());
  response.content_type = "application/json";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = absl::StrCat(
      "{\"error\":{\"code\":", response.status,
      ",\"rule\":", answers::JsonString(answers::RuleOf(status)),
      ",\"message\":", answers::JsonString(std::string(status.message())),
      "}}\n");
  return response;
}

const std::map<std::string, Api::Route>& Api::Routes() {
  static const auto* const kRoutes = new std::map<std::string, Route>{
      {"runs", {{"run"}, &Api::Runs}},
      {"checkpoints",
       {{"run", "stage", "state", "limit", "page_token"}, &Api::Checkpoints}},
      {"metrics", {{"run"}, &Api::Metrics}},
      {"series",
       {{"run", "stage", "metric", "domain", "layer", "head", "agg", "x",
         "include_implausible", "max_columns", "max_rows"},
        &Api::Series}},
      {"matrix", {{"run", "stage", "metric", "domain", "step"}, &Api::Matrix}},
      {"emergence",
       {{"run", "stage", "metric", "domain", "layer", "head", "agg",
         "include_implausible", "threshold", "below", "consecutive"},
        &Api::Emergence}}};
  return *kRoutes;
}

bool Api::IsRoute(const std::string& path) {
  absl::string_view name = path;
  return absl::ConsumePrefix(&name, "/api/v1/") &&
         Routes().count(std::string(name)) > 0;
}

Response Api::Handle(const Request& request) const {
  const std::string name(absl::StripPrefix(request.path, "/api/v1/"));
  const auto route = Routes().find(name);
  if (route == Routes().end()) {
    return Error(absl::NotFoundError(absl::StrCat(
        "there is no /api/v1/", name, "; there are ",
        absl::StrJoin(Routes(), ", ", [](std::string* out, const auto& item) {
          absl::StrAppend(out, "/api/v1/", item.first);
        }))));
  }
  std::vector<std::string> allowed = route->second.parameters;
  allowed.insert(allowed.end(), {"format", "shape"});
  absl::StatusOr<Params> params = Params::Parse(request.query, allowed);
  if (!params.ok()) return Error(params.status());
  // Lists of job states are tagged by their bytes: reasons and progress change
  // without changing a count.
  const bool by_content = name == "runs" || name == "checkpoints";
  absl::StatusOr<std::string> tag = by_content ? std::string() : Tag();
  if (!tag.ok()) return Error(tag.status());

  Response response;
  if (by_content || !Matches(request.if_none_match, *tag)) {
    response = Render(route->second.endpoint, name, *params);
    if (response.status != 200) return response;
    if (by_content) tag = TagOf(response.body);
  }
  if (Matches(request.if_none_match, *tag)) {
    response = Response();
    response.status = 304;
  }
  response.headers.emplace_back("ETag", *tag);
  response.headers.emplace_back("Cache-Control", "no-cache");
  return response;
}

Response Api::Render(Endpoint endpoint, const std::string& name,
                     Params& params) const {
  const std::string format = params.Choice("format", {"json", "csv"});
  const std::string shape =
      name == "runs"
          ? params.Choice("shape", {"table", "records", "stages", "domains"})
          : params.Choice("shape", {"table", "records"});
  if (!params.status().ok()) return Error(params.status());
  // Read first: a commit in between makes it too old, never too new.
  const std::string revision = absl::StrCat(store_->revision());
  absl::StatusOr<Answer> answer = (this->*endpoint)(params);
  if (!answer.ok()) return Error(answer.status());
  answer->extras.insert(answer->extras.begin(), {"revision", revision});
  Response response;
  if (format == "csv") {
    response.content_type = "text/csv; charset=utf-8; header=present";
    response.body = answers::ToCsv(answer->table);
  } else {
    response.content_type = "application/json";
    response.body = shape == "table"
                        ? answers::ToJson(answer->table, answer->extras)
                        : answers::ToRecords(answer->table);
  }
  return response;
}

std::string Api::TagOf(const std::string& content) const {
  return absl::StrCat("W/\"", version_, ".", absl::Hash<std::string>()(content),
                      "\"");
}

absl::StatusOr<std::string> Api::Tag() const {
  // Read first: a commit in between makes the tag too old, never too new.
  const int64_t revision = store_->revision();
  auto jobs = store_->CountJobs();
  if (!jobs.ok()) return jobs.status();
  std::string states;
  for (const auto& job : *jobs) {
    absl::StrAppend(&states, job.run, "/", job.state, "=", job.count, ";");
  }
  return absl::StrCat("W/\"", version_, ".", revision, ".",
                      absl::Hash<std::string>()(states), "\"");
}

absl::StatusOr<answers::Repeated<v1::RunStatus>> Api::AllRuns() const {
  answers::Repeated<v1::RunStatus> all;
  store::PageOptions page;
  page.size = kPage;
  do {
    absl::StatusOr<v1::ListRunsResponse> runs = store_->ListRuns(page);
    if (!runs.ok()) return runs.status();
    all.MergeFrom(runs->runs());
    page.token = runs->next_page_token();
  } while (!page.token.empty());
  return all;
}

absl::StatusOr<v1::RunStatus> Api::FindRun(const std::string& name) const {
  absl::StatusOr<answers::Repeated<v1::RunStatus>> runs = AllRuns();
  if (!runs.ok()) return runs.status();
  return query::FindRun(*runs, name);
}

absl::StatusOr<Api::Answer> Api::Runs(Params& params) const {
  const std::string shape = params.Text("shape", "table");
  Answer answer;
  if (shape == "stages" || shape == "domains") {
    const std::string name = params.Required("run");
    if (!params.status().ok()) return params.status();
    absl::StatusOr<v1::RunStatus> run = FindRun(name);
    if (!run.ok()) return run.status();
    answer.table = shape == "stages" ? OneColumn("stage", run->stages())
                                     : OneColumn("domain", run->domains());
    return answer;
  }
  answers::Repeated<v1::RunStatus> all;
  if (params.Has("run")) {
    absl::StatusOr<v1::RunStatus> run = FindRun(params.Text("run", ""));
    if (!run.ok()) return run.status();
    *all.Add() = *std::move(run);
  } else {
    absl::StatusOr<answers::Repeated<v1::RunStatus>> runs = AllRuns();
    if (!runs.ok()) return runs.status();
    all = *std::move(runs);
  }
  for (v1::RunStatus& run : all) {
    if (discovery_error_) run.set_discovery_error(discovery_error_(run.name()));
  }
  answer.table = answers::RunsTable(all);
  return answer;
}

absl::StatusOr<Api::Answer> Api::Checkpoints(Params& params) const {
  v1::ListCheckpointsRequest request;
  request.set_run(params.Required("run"));
  if (params.Has("stage")) request.set_stage(params.Text("stage", ""));
  if (params.Has("state")) {
    absl::StatusOr<v1::JobState> state =
        answers::ParseState(params.Text("state", ""));
    if (!state.ok()) return state.status();
    request.add_states(*state);
  }
  const int64_t limit = params.Int("limit", kPage, 1, kMaxLimit);
  request.set_page_token(params.Text("page_token", ""));
  if (!params.status().ok()) return params.status();
  if (auto run = FindRun(request.run()); !run.ok()) return run.status();
  // The store's pages are smaller than the limit may be.
  answers::Repeated<v1::CheckpointStatus> all;
  do {
    request.set_page_size(
        std::min<int64_t>(limit - all.size(), store::kMaxPage));
    auto page = store_->ListCheckpoints(request);
    if (!page.ok()) return page.status();
    all.MergeFrom(page->checkpoints());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && all.size() < limit);

  Answer answer;
  answer.table = answers::CheckpointsTable(all);
  answer.extras.emplace_back("next_page_token",
                             answers::JsonString(request.page_token()));
  return answer;
}

absl::StatusOr<Api::Answer> Api::Metrics(Params& params) const {
  v1::ListMetricsRequest request;
  request.set_run(params.Text("run", ""));
  request.set_page_size(kPage);
  if (!request.run().empty()) {
    if (auto run = FindRun(request.run()); !run.ok()) return run.status();
  }
  Answer answer;
  answers::Repeated<v1::MetricDescriptor> all;
  do {
    auto list = store_->ListMetrics(request);
    if (!list.ok()) return list.status();
    all.MergeFrom(list->metrics());
    request.set_page_token(list->next_page_token());
  } while (!request.page_token().empty());
  answer.table = answers::MetricsTable(all);
  return answer;
}

}  // namespace sinkwatch::http
