#include "server/http/api.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/time_util.h"

namespace sinkwatch::http {
namespace {

constexpr int kPage = 500;
constexpr int kMaxPage = 5000;

std::string ShortName(const std::string& name, const char* prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

std::string StateName(v1::JobState state) {
  return ShortName(v1::JobState_Name(state), "JOB_STATE_");
}

std::string OutcomeName(v1::Outcome outcome) {
  if (outcome == v1::OUTCOME_UNSPECIFIED) return "";
  return ShortName(v1::Outcome_Name(outcome), "OUTCOME_");
}

Cell TimeCell(bool has, const google::protobuf::Timestamp& time) {
  if (!has) return {};
  return google::protobuf::util::TimeUtil::ToString(time);
}

Cell Known(int64_t value, int64_t unknown) {
  if (value == unknown) return {};
  return value;
}

std::vector<std::string> ListOf(
    const google::protobuf::RepeatedPtrField<std::string>& items) {
  return {items.begin(), items.end()};
}

Table OneColumn(const std::string& column,
                const std::vector<std::string>& values) {
  Table table{{column}, {}};
  for (const std::string& value : values) table.rows.push_back({value});
  return table;
}

std::vector<Cell> RunRow(const v1::RunStatus& run) {
  std::vector<Cell> row = {run.name(),
                           run.root(),
                           ListOf(run.stages()),
                           ListOf(run.domains()),
                           Known(run.latest_step(), -1),
                           TimeCell(run.has_last_commit(), run.last_commit()),
                           run.probe().name(),
                           run.model().architecture(),
                           Known(run.model().layers(), 0),
                           Known(run.model().heads(), 0),
                           Known(run.model().kv_heads(), 0),
                           run.discovery_error()};
  for (int s = v1::JobState_MIN + 1; s <= v1::JobState_MAX; ++s) {
    const auto& name = v1::JobState_Name(static_cast<v1::JobState>(s));
    int64_t count = 0;
    // The map's keys are state names, whichever way they are written.
    for (const auto& [state, number] : run.checkpoints()) {
      if (absl::EqualsIgnoreCase(state, name) ||
          absl::EqualsIgnoreCase(state,
                                 absl::StripPrefix(name, "JOB_STATE_"))) {
        count += number;
      }
    }
    row.emplace_back(count);
  }
  return row;
}

std::vector<std::string> RunColumns() {
  std::vector<std::string> columns = {
      "name",        "root",        "stages",   "domains",
      "latest_step", "last_commit", "probe",    "architecture",
      "layers",      "heads",       "kv_heads", "discovery_error"};
  for (int s = v1::JobState_MIN + 1; s <= v1::JobState_MAX; ++s) {
    columns.push_back(StateName(static_cast<v1::JobState>(s)));
  }
  return columns;
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

Response Render(const Table& table, const Extras& extras,
                const std::string& format, const std::string& shape) {
  Response response;
  if (format == "csv") {
    response.content_type = "text/csv; charset=utf-8; header=present";
    response.body = ToCsv(table);
  } else {
    response.content_type = "application/json";
    response.body = shape == "table" ? ToJson(table, extras) : ToRecords(table);
  }
  return response;
}

}  // namespace

Api::Api(store::Store* store, std::string version)
    : store_(store), version_(std::move(version)) {}

Response Api::Error(const absl::Status& status) {
  Response response;
  response.status = HttpStatus(status.code());
  response.content_type = "application/json";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = absl::StrCat(
      "{\"error\":{\"code\":", response.status,
      ",\"rule\":", JsonString(RuleOf(status)),
      ",\"message\":", JsonString(std::string(status.message())), "}}\n");
  return response;
}

Response Api::Handle(const Request& request) const {
  struct Route {
    std::vector<std::string> parameters;
    Endpoint endpoint;
  };
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
  const std::string name(absl::StripPrefix(request.path, "/api/v1/"));
  const auto route = kRoutes->find(name);
  if (route == kRoutes->end()) {
    return Error(absl::NotFoundError(absl::StrCat(
        "there is no /api/v1/", name, "; there are ",
        absl::StrJoin(*kRoutes, ", ", [](std::string* out, const auto& item) {
          absl::StrAppend(out, "/api/v1/", item.first);
        }))));
  }
  std::vector<std::string> allowed = route->second.parameters;
  allowed.insert(allowed.end(), {"format", "shape"});
  absl::StatusOr<Params> params = Params::Parse(request.query, allowed);
  if (!params.ok()) return Error(params.status());
  const std::string format = params->Choice("format", {"json", "csv"});
  const std::string shape =
      name == "runs"
          ? params->Choice("shape", {"table", "records", "stages", "domains"})
          : params->Choice("shape", {"table", "records"});
  if (!params->status().ok()) return Error(params->status());

  // What lists job states has a tag of its bytes: reasons and progress change
  // without changing any count.
  const bool by_content = name == "runs" || name == "checkpoints";
  std::string tag;
  if (!by_content) {
    absl::StatusOr<std::string> current = Tag();
    if (!current.ok()) return Error(current.status());
    tag = *std::move(current);
  }
  Response response;
  if (by_content || !Matches(request.if_none_match, tag)) {
    absl::StatusOr<Answer> answer = (this->*route->second.endpoint)(*params);
    if (!answer.ok()) return Error(answer.status());
    answer->extras.insert(answer->extras.begin(),
                          {"revision", absl::StrCat(store_->revision())});
    response = Render(answer->table, answer->extras, format, shape);
    if (by_content) {
      tag = absl::StrCat("W/\"", version_, ".",
                         absl::Hash<std::string>()(response.body), "\"");
    }
  }
  if (Matches(request.if_none_match, tag)) {
    response = Response();
    response.status = 304;
  }
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back("Cache-Control", "no-cache");
  return response;
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

absl::StatusOr<v1::RunStatus> Api::FindRun(const std::string& name) const {
  store::PageOptions page;
  page.size = kPage;
  std::vector<std::string> names;
  do {
    absl::StatusOr<v1::ListRunsResponse> runs = store_->ListRuns(page);
    if (!runs.ok()) return runs.status();
    for (v1::RunStatus& run : *runs->mutable_runs()) {
      if (run.name() == name) return std::move(run);
      if (names.size() < 10) names.push_back(run.name());
    }
    page.token = runs->next_page_token();
  } while (!page.token.empty());
  return absl::NotFoundError(
      absl::StrCat("there is no run \"", name, "\"",
                   names.empty() ? "; none is configured" : "; there are ",
                   absl::StrJoin(names, ", ")));
}

absl::StatusOr<Api::Answer> Api::Runs(Params& params) const {
  const std::string shape = params.Text("shape", "table");
  Answer answer;
  if (shape == "stages" || shape == "domains") {
    const std::string name = params.Required("run");
    if (!params.status().ok()) return params.status();
    absl::StatusOr<v1::RunStatus> run = FindRun(name);
    if (!run.ok()) return run.status();
    answer.table = shape == "stages"
                       ? OneColumn("stage", ListOf(run->stages()))
                       : OneColumn("domain", ListOf(run->domains()));
    return answer;
  }
  answer.table.columns = RunColumns();
  if (params.Has("run")) {
    absl::StatusOr<v1::RunStatus> run = FindRun(params.Text("run", ""));
    if (!run.ok()) return run.status();
    answer.table.rows.push_back(RunRow(*run));
    return answer;
  }
  store::PageOptions page;
  page.size = kPage;
  do {
    absl::StatusOr<v1::ListRunsResponse> runs = store_->ListRuns(page);
    if (!runs.ok()) return runs.status();
    for (const v1::RunStatus& run : runs->runs()) {
      answer.table.rows.push_back(RunRow(run));
    }
    page.token = runs->next_page_token();
  } while (!page.token.empty());
  return answer;
}

absl::StatusOr<Api::Answer> Api::Checkpoints(Params& params) const {
  v1::ListCheckpointsRequest request;
  request.set_run(params.Required("run"));
  if (params.Has("stage")) request.set_stage(params.Text("stage", ""));
  if (params.Has("state")) {
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    const std::string text = params.Text("state", "");
    if (!v1::JobState_Parse(
            absl::StrCat("JOB_STATE_", absl::AsciiStrToUpper(text)), &state)) {
      return BadParameter("unknown_value",
                          absl::StrCat("state=", text,
                                       " is no state (queued, leased, "
                                       "retrying, done, dead, ...)"));
    }
    request.add_states(state);
  }
  request.set_page_size(params.Int("limit", kPage, 1, kMaxPage));
  request.set_page_token(params.Text("page_token", ""));
  if (!params.status().ok()) return params.status();
  if (auto run = FindRun(request.run()); !run.ok()) return run.status();
  auto list = store_->ListCheckpoints(request);
  if (!list.ok()) return list.status();

  Answer answer;
  answer.table.columns = {"stage",    "step",    "tokens",     "state",
                          "outcome",  "reason",  "attempts",   "worker",
                          "progress", "updated", "not_before", "path",
                          "job_id"};
  for (const v1::CheckpointStatus& c : list->checkpoints()) {
    answer.table.rows.push_back(
        {c.checkpoint().stage(), int64_t{c.checkpoint().step()},
         Known(c.checkpoint().tokens(), 0), StateName(c.state()),
         OutcomeName(c.outcome()), c.reason(), int64_t{c.attempts()},
         c.worker(), c.progress(), TimeCell(c.has_updated(), c.updated()),
         TimeCell(c.has_not_before(), c.not_before()), c.checkpoint().path(),
         int64_t{c.job_id()}});
  }
  answer.extras.emplace_back("next_page_token",
                             JsonString(list->next_page_token()));
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
  answer.table.columns = {"name",    "unit",    "scope",
                          "meaning", "formula", "source"};
  do {
    auto list = store_->ListMetrics(request);
    if (!list.ok()) return list.status();
    for (const v1::MetricDescriptor& m : list->metrics()) {
      answer.table.rows.push_back(
          {m.name(), m.unit(), ShortName(v1::Scope_Name(m.scope()), "SCOPE_"),
           m.meaning(), m.formula(), m.source()});
    }
    request.set_page_token(list->next_page_token());
  } while (!request.page_token().empty());
  return answer;
}

}  // namespace sinkwatch::http
