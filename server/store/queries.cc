// The methods of Store that list runs, checkpoints and metrics.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/time_util.h"
#include "server/store/database.h"
#include "server/store/job_rows.h"
#include "server/store/paging.h"
#include "server/store/same_weights.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int32_t kDefaultPage = 100;

google::protobuf::Timestamp Stamp(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return {};
  return TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(time));
}

// --- runs -------------------------------------------------------------------

// Counts its jobs by state, and finds its stages.
absl::Status CountJobsOf(sqlite3* connection, v1::RunStatus& run) {
  Statement count(connection,
                  "SELECT state, stage, count(*) FROM job WHERE run = ? GROUP "
                  "BY state, stage ORDER BY state, stage");
  count.Bind(run.name());
  std::set<std::string> stages;
  while (count.Step()) {
    const auto state = static_cast<v1::JobState>(count.Int());
    stages.insert(count.Text());
    if (run.states().empty() || run.states().rbegin()->state() != state) {
      run.add_states()->set_state(state);
    }
    v1::StateCount& last = *run.mutable_states()->rbegin();
    last.set_count(last.count() + count.Int());
  }
  for (const std::string& stage : stages) run.add_stages(stage);
  return count.status();
}

// In the order in which the worker sent them, which is the probe's.
absl::Status ListDomains(sqlite3* connection, int64_t measurement,
                         v1::RunStatus& run) {
  Statement domains(connection,
                    "SELECT domain FROM metric_values WHERE "
                    "measurement_id = ? GROUP BY domain ORDER BY min(rowid)");
  domains.Bind(measurement);
  while (domains.Step()) run.add_domains(domains.Text());
  return domains.status();
}

absl::Status DescribeLatest(sqlite3* connection, v1::RunStatus& run) {
  run.set_latest_step(-1);
  Statement latest(connection,
                   "SELECT id, step, header FROM measurement WHERE run = ? "
                   "ORDER BY step DESC, id DESC LIMIT 1");
  latest.Bind(run.name());
  if (!latest.Step()) return latest.status();
  const int64_t id = latest.Int();
  run.set_latest_step(latest.Int());
  v1::MeasurementHeader header;
  // A header that cannot be read costs its measurement, not the list of runs.
  if (ReadMessage(latest, "header", header).ok()) {
    *run.mutable_model() = header.model();
    *run.mutable_probe() = header.probe();
  }
  return ListDomains(connection, id, run);
}

absl::Status FindLastCommit(sqlite3* connection, v1::RunStatus& run) {
  Statement last(connection,
                 "SELECT committed FROM measurement WHERE run = ? ORDER BY "
                 "committed DESC LIMIT 1");
  last.Bind(run.name());
  if (last.Step()) *run.mutable_last_commit() = Stamp(last.Time());
  return last.status();
}

// The run in a row of name and config.
absl::StatusOr<v1::RunStatus> ReadRun(sqlite3* connection, Statement& row) {
  v1::RunStatus run;
  run.set_name(row.Text());
  v1::RunConfig config;
  ReadMessage(row, "run", config).IgnoreError();  // Check tells of it
  run.set_root(config.root());
  *run.mutable_labels() = config.labels();
  run.mutable_probe()->set_path(config.probe());
  absl::Status status = CountJobsOf(connection, run);
  if (status.ok()) status = DescribeLatest(connection, run);
  if (status.ok()) status = FindLastCommit(connection, run);
  if (!status.ok()) return status;
  return run;
}

// --- checkpoints ------------------------------------------------------------

// The last row of a page; its token is "step:id:stage".
struct CheckpointPlace {
  int64_t step = 0;
  int64_t id = 0;
  std::string stage;

  static absl::StatusOr<CheckpointPlace> Parse(const std::string& token) {
    CheckpointPlace place;
    const std::vector<std::string> parts =
        absl::StrSplit(token, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &place.step) ||
        !absl::SimpleAtoi(parts[1], &place.id)) {
      return WrongToken(token);
    }
    place.stage = parts[2];
    return place;
  }

  static std::string TokenOf(const JobRecord& last) {
    const v1::Checkpoint& checkpoint = last.job.checkpoint();
    return absl::StrCat(checkpoint.step(), ":", last.job.id(), ":",
                        checkpoint.stage());
  }
};

// The jobs of a run that a list is of: all, or those of one state.
std::string JobsOf(const CheckpointQuery& query,
                   std::optional<v1::JobState> state, const char* columns) {
  std::string sql = absl::StrCat("SELECT ", columns, " FROM job WHERE run = ?");
  if (state.has_value()) absl::StrAppend(&sql, " AND state = ", *state);
  if (query.stage.has_value()) absl::StrAppend(&sql, " AND stage = ?");
  if (!query.page.token.empty()) {
    absl::StrAppend(&sql, " AND (stage, step, id) ",
                    query.newest_first ? "<" : ">", " (?, ?, ?)");
  }
  return sql;
}

std::vector<std::optional<v1::JobState>> StatesOf(
    const CheckpointQuery& query) {
  if (query.states.empty()) return {std::nullopt};
  const std::set<v1::JobState> states(query.states.begin(), query.states.end());
  return {states.begin(), states.end()};
}

// Lists of several states are merged: each comes in order from the index.
std::string CheckpointsSql(const CheckpointQuery& query) {
  std::vector<std::string> parts;
  for (const std::optional<v1::JobState>& state : StatesOf(query)) {
    parts.push_back(JobsOf(query, state, kJobColumns));
  }
  const char* const order = query.newest_first ? " DESC" : "";
  return absl::StrCat(absl::StrJoin(parts, " UNION ALL "), " ORDER BY stage",
                      order, ", step", order, ", id", order, " LIMIT ?");
}

absl::Status BindCheckpoints(Statement& select, const CheckpointQuery& query) {
  CheckpointPlace after;
  if (!query.page.token.empty()) {
    auto place = CheckpointPlace::Parse(query.page.token);
    if (!place.ok()) return place.status();
    after = *std::move(place);
  }
  for (size_t i = 0; i < StatesOf(query).size(); ++i) {
    select.Bind(query.run);
    if (query.stage.has_value()) select.Bind(*query.stage);
    if (query.page.token.empty()) continue;
    select.Bind(after.stage).Bind(after.step).Bind(after.id);
  }
  return absl::OkStatus();
}

absl::Status ReadCosts(sqlite3* connection, CheckpointPage& page) {
  Statement select(connection,
                   "SELECT load_seconds, compute_seconds, device FROM "
                   "measurement WHERE job_id = ? AND device IS NOT NULL");
  for (const JobRecord& job : page.jobs) {
    auto& cost = page.costs.emplace_back();
    if (job.state != v1::JOB_STATE_DONE) continue;
    select.Reset();
    select.Bind(job.job.id());
    if (!select.Step()) continue;
    cost.emplace();
    cost->load_seconds = select.Double();
    cost->compute_seconds = select.Double();
    cost->device = select.Text();
  }
  return select.status();
}

absl::Status ReadWeights(sqlite3* connection, CheckpointPage& page) {
  for (const JobRecord& job : page.jobs) {
    WeightFacts& facts = page.weights.emplace_back();
    if (job.state != v1::JOB_STATE_DONE) continue;
    absl::Status status = ReadWeightFacts(connection, job.job.id(), facts);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// --- metrics ----------------------------------------------------------------

// The metrics of a run, or of all if that is empty, in the order in which their
// workers told them. Where a name was described more than once, the series that
// a run shows speaks.
absl::StatusOr<std::vector<v1::MetricDescriptor>> DescribedMetrics(
    sqlite3* connection, const std::string& run) {
  Statement select(
      connection,
      absl::StrCat("SELECT name, place, descriptor, series = (SELECT m.series "
                   "FROM measurement AS m WHERE m.run = metric.run ORDER BY "
                   "m.committed DESC, m.id DESC LIMIT 1) AS shown FROM metric",
                   run.empty() ? "" : " WHERE run = ?", " ORDER BY shown"));
  if (!run.empty()) select.Bind(run);
  std::map<std::string, std::pair<int64_t, v1::MetricDescriptor>> by_name;
  while (select.Step()) {
    const std::string name = select.Text();
    const int64_t place = select.Int();
    v1::MetricDescriptor metric;
    // A definition that cannot be read costs itself; Check tells of it.
    if (!ReadMessage(select, "descriptor", metric).ok()) continue;
    by_name[name] = {place, std::move(metric)};
  }
  if (!select.status().ok()) return select.status();
  std::vector<std::pair<int64_t, v1::MetricDescriptor>> metrics;
  for (auto& [name, metric] : by_name) metrics.push_back(std::move(metric));
  std::stable_sort(
      metrics.begin(), metrics.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<v1::MetricDescriptor> answer;
  for (auto& [place, metric] : metrics) answer.push_back(std::move(metric));
  return answer;
}

}  // namespace

absl::StatusOr<v1::RunStatus> Store::Run(const std::string& name) {
  StoreLock lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT name, config FROM run WHERE name = ? AND followed > "
                   "0");
  select.Bind(name);
  if (select.Step()) return ReadRun(database_->connection, select);
  if (!select.status().ok()) return select.status();
  return absl::NotFoundError(absl::StrCat("there is no run \"", name, "\""));
}

absl::StatusOr<std::vector<std::string>> Store::RunNames() {
  StoreLock lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT name FROM run WHERE followed > 0 ORDER BY name");
  std::vector<std::string> names;
  while (select.Step()) names.push_back(select.Text());
  if (!select.status().ok()) return select.status();
  return names;
}

absl::StatusOr<v1::ListRunsResponse> Store::ListRuns(const PageOptions& page) {
  StoreLock lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const int32_t size = PageSize(page.size, kDefaultPage, kMaxPage);
  Statement select(connection,
                   "SELECT name, config FROM run WHERE followed > 0 AND name > "
                   "? ORDER BY name LIMIT ?");
  select.Bind(page.token).Bind(int64_t{size} + 1);
  v1::ListRunsResponse response;
  while (select.Step()) {
    if (response.runs_size() == size) {
      response.set_next_page_token(response.runs(size - 1).name());
      break;
    }
    auto run = ReadRun(connection, select);
    if (!run.ok()) return run.status();
    *response.add_runs() = *std::move(run);
  }
  if (!select.status().ok()) return select.status();
  return response;
}

absl::StatusOr<CheckpointPage> Store::Checkpoints(
    const CheckpointQuery& query) {
  StoreLock lock(database_->mutex);
  const int32_t size = PageSize(query.page.size, kDefaultPage, kMaxPage);
  Statement select(database_->connection, CheckpointsSql(query));
  absl::Status status = BindCheckpoints(select, query);
  if (!status.ok()) return status;
  select.Bind(int64_t{size} + 1);
  CheckpointPage page;
  while (select.Step()) {
    if (page.jobs.size() == static_cast<size_t>(size)) {
      page.next_page_token = CheckpointPlace::TokenOf(page.jobs.back());
      break;
    }
    page.jobs.push_back(ReadJob(select));
  }
  status = select.status();
  if (status.ok()) status = ReadCosts(database_->connection, page);
  if (status.ok()) status = ReadWeights(database_->connection, page);
  if (!status.ok()) return status;
  return page;
}

absl::StatusOr<int64_t> Store::CountCheckpoints(CheckpointQuery query) {
  StoreLock lock(database_->mutex);
  query.page = {};
  int64_t total = 0;
  for (const std::optional<v1::JobState>& state : StatesOf(query)) {
    Statement count(database_->connection, JobsOf(query, state, "count(*)"));
    count.Bind(query.run);
    if (query.stage.has_value()) count.Bind(*query.stage);
    if (count.Step()) total += count.Int();
    if (!count.status().ok()) return count.status();
  }
  return total;
}

absl::StatusOr<v1::ListMetricsResponse> Store::ListMetrics(
    const v1::ListMetricsRequest& request) {
  StoreLock lock(database_->mutex);
  const int32_t size = PageSize(request.page_size(), kMaxPage, kMaxPage);
  int64_t skipped = 0;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &skipped) || skipped < 0)) {
    return WrongToken(request.page_token());
  }
  const auto metrics = DescribedMetrics(database_->connection, request.run());
  if (!metrics.ok()) return metrics.status();
  const auto rows = static_cast<int64_t>(metrics->size());
  const int64_t first = std::min(skipped, rows);
  const int64_t last = std::min(first + size, rows);
  v1::ListMetricsResponse response;
  for (int64_t i = first; i < last; ++i) {
    *response.add_metrics() = (*metrics)[i];
  }
  if (last < rows) response.set_next_page_token(absl::StrCat(last));
  return response;
}

absl::StatusOr<std::vector<Store::StateCount>> Store::CountJobs() {
  StoreLock lock(database_->mutex);
  // Asked every two seconds, of a queue that may be long, and seldom anew.
  const int64_t changes = sqlite3_total_changes64(database_->connection);
  if (changes == database_->counted_changes) return database_->counts;
  Statement count(database_->connection,
                  "SELECT run, state, count(*) FROM job WHERE run IN (SELECT "
                  "name FROM run WHERE followed > 0) GROUP BY 1, 2");
  std::vector<StateCount> counts;
  while (count.Step()) {
    StateCount& entry = counts.emplace_back();
    entry.run = count.Text();
    entry.state = static_cast<v1::JobState>(count.Int());
    entry.count = count.Int();
  }
  if (!count.status().ok()) return count.status();
  database_->counts = counts;
  database_->counted_changes = changes;
  return counts;
}

}  // namespace sinkwatch::store
