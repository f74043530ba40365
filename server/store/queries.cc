// The methods of Store that answer queries.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/time_util.h"
#include "server/store/database.h"
#include "server/store/job_rows.h"
#include "server/store/measurement_rows.h"
#include "server/store/statement.h"
#include "server/store/store.h"
#include "server/store/value_blob.h"

namespace sinkwatch::store {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int32_t kDefaultPage = 100;
constexpr int32_t kDefaultSteps = 2000;
constexpr int32_t kMaxSteps = 20000;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

int32_t PageSize(int32_t asked, int32_t fallback, int32_t most) {
  return asked <= 0 ? fallback : std::min(asked, most);
}

absl::Status WrongToken(const std::string& token) {
  return absl::InvalidArgumentError(
      absl::StrCat("page_token \"", token, "\" is not one of this list"));
}

google::protobuf::Timestamp Stamp(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return {};
  return TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(time));
}

// --- runs -------------------------------------------------------------------

absl::Status CountStates(sqlite3* connection, v1::RunStatus& run) {
  Statement count(connection,
                  "SELECT state, count(*) FROM job WHERE run = ? GROUP BY 1 "
                  "ORDER BY 1");
  count.Bind(run.name());
  while (count.Step()) {
    v1::StateCount& entry = *run.add_states();
    entry.set_state(static_cast<v1::JobState>(count.Int()));
    entry.set_count(count.Int());
  }
  return count.status();
}

absl::Status DescribeLatest(sqlite3* connection, v1::RunStatus& run) {
  run.set_latest_step(-1);
  Statement latest(connection,
                   "SELECT id, step, header, committed FROM measurement WHERE "
                   "run = ? ORDER BY step DESC, id DESC LIMIT 1");
  latest.Bind(run.name());
  if (!latest.Step()) return latest.status();
  const int64_t id = latest.Int();
  run.set_latest_step(latest.Int());
  v1::MeasurementHeader header;
  absl::Status status = ReadMessage(latest, "header", header);
  if (!status.ok()) return status;
  *run.mutable_model() = header.model();
  *run.mutable_probe() = header.probe();
  Statement domains(connection,
                    "SELECT DISTINCT domain FROM metric_values WHERE "
                    "measurement_id = ? ORDER BY rowid");
  domains.Bind(id);
  while (domains.Step()) run.add_domains(domains.Text());
  if (!domains.status().ok()) return domains.status();
  Statement last(connection,
                 "SELECT max(committed) FROM measurement WHERE run = ?");
  last.Bind(run.name());
  if (last.Step()) *run.mutable_last_commit() = Stamp(last.Time());
  return last.status();
}

absl::Status ListStages(sqlite3* connection, v1::RunStatus& run) {
  Statement stages(connection,
                   "SELECT DISTINCT stage FROM job WHERE run = ? ORDER BY 1");
  stages.Bind(run.name());
  while (stages.Step()) run.add_stages(stages.Text());
  return stages.status();
}

// --- checkpoints ------------------------------------------------------------

// The last row of a page; its token is "step:id:stage".
struct CheckpointPlace {
  int64_t step = INT64_MIN;
  int64_t id = 0;
  std::string stage;

  static absl::StatusOr<CheckpointPlace> Parse(const std::string& token) {
    CheckpointPlace place;
    if (token.empty()) return place;
    const std::vector<std::string> parts =
        absl::StrSplit(token, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &place.step) ||
        !absl::SimpleAtoi(parts[1], &place.id)) {
      return WrongToken(token);
    }
    place.stage = parts[2];
    return place;
  }

  static std::string TokenOf(const v1::CheckpointStatus& last) {
    return absl::StrCat(last.checkpoint().step(), ":", last.job_id(), ":",
                        last.checkpoint().stage());
  }
};

std::string CheckpointsSql(const v1::ListCheckpointsRequest& request) {
  std::string sql =
      absl::StrCat("SELECT ", kJobColumns,
                   " FROM job WHERE run = ? AND (stage, step, id) > (?, ?, ?)");
  if (request.has_stage()) absl::StrAppend(&sql, " AND stage = ?");
  if (!request.states().empty()) {
    absl::StrAppend(&sql, " AND state IN (",
                    absl::StrJoin(request.states(), ","), ")");
  }
  absl::StrAppend(&sql, " ORDER BY stage, step, id LIMIT ?");
  return sql;
}

v1::CheckpointStatus StatusOf(const JobRecord& job) {
  v1::CheckpointStatus status;
  *status.mutable_checkpoint() = job.job.checkpoint();
  status.set_state(job.state);
  status.set_job_id(job.job.id());
  status.set_attempts(job.job.attempt());
  status.set_outcome(job.outcome);
  status.set_reason(job.reason);
  status.set_worker(job.worker);
  status.set_progress(job.progress);
  *status.mutable_updated() = Stamp(job.updated);
  *status.mutable_not_before() = Stamp(job.not_before);
  return status;
}

// --- series -----------------------------------------------------------------

// The series that a run shows: that of its latest commit.
absl::StatusOr<std::string> ShownSeries(sqlite3* connection,
                                        const std::string& run,
                                        const std::string& stage) {
  Statement select(connection,
                   "SELECT series FROM measurement WHERE run = ? AND stage = ? "
                   "ORDER BY id DESC LIMIT 1");
  select.Bind(run).Bind(stage);
  if (select.Step()) return select.Text();
  if (!select.status().ok()) return select.status();
  return absl::NotFoundError(absl::StrCat("run \"", run, "\", stage \"", stage,
                                          "\" has no measurements"));
}

absl::StatusOr<v1::MetricDescriptor> FindDescriptor(sqlite3* connection,
                                                    const std::string& run,
                                                    const std::string& series,
                                                    const std::string& name) {
  Statement select(connection,
                   "SELECT descriptor FROM metric WHERE run = ? AND series = ? "
                   "AND name = ?");
  select.Bind(run).Bind(series).Bind(name);
  if (select.Step()) {
    v1::MetricDescriptor metric;
    absl::Status status = ReadMessage(select, "descriptor", metric);
    if (!status.ok()) return status;
    return metric;
  }
  if (!select.status().ok()) return select.status();
  return absl::NotFoundError(
      absl::StrCat("run \"", run, "\" has no metric \"", name, "\""));
}

bool Wanted(const google::protobuf::RepeatedField<int32_t>& list, int number) {
  return list.empty() ||
         std::find(list.begin(), list.end(), number) != list.end();
}

// A column of an answer: a layer (none: model scope) and an index in it.
using Column = std::pair<std::optional<int>, int>;

v1::SeriesKey KeyOf(const Column& column, const v1::MetricDescriptor& metric) {
  v1::SeriesKey key;
  const bool of_head =
      metric.scope() == v1::SCOPE_HEAD || metric.scope() == v1::SCOPE_KV_HEAD;
  if (column.first.has_value()) key.set_layer(*column.first);
  if (of_head) key.set_head(column.second);
  if (!column.first.has_value()) {
    key.set_label(metric.name());
  } else if (of_head) {
    key.set_label(absl::StrCat("L", *column.first, "H", column.second));
  } else {
    key.set_label(absl::StrCat("L", *column.first));
  }
  return key;
}

// Steps as they are read, columns as they turn up.
class SeriesTable {
 public:
  explicit SeriesTable(const v1::SeriesSelector& selector)
      : selector_(selector) {}

  void Add(int64_t step, int64_t tokens, const ValueBlob& blob) {
    Row& row = rows_.emplace_back();
    row.step = step;
    row.tokens = tokens;
    for (size_t i = 0; i < blob.layers.size(); ++i) {
      const std::optional<int>& layer = blob.layers[i];
      if (layer.has_value() && !Wanted(selector_.layers(), *layer)) continue;
      for (int index = 0; index < blob.width; ++index) {
        if (blob.width > 1 && !Wanted(selector_.heads(), index)) continue;
        const Column column{layer, index};
        columns_.try_emplace(column, 0);
        row.values[column] = {blob.value(i, index),
                              blob.standard_error(i, index)};
      }
    }
  }

  void Fill(const v1::MetricDescriptor& metric,
            v1::QuerySeriesResponse& response) const {
    *response.mutable_metric() = metric;
    for (const auto& [column, unused] : columns_) {
      *response.add_columns() = KeyOf(column, metric);
    }
    for (const Row& row : rows_) {
      v1::SeriesRow& out = *response.add_rows();
      out.set_step(row.step);
      out.set_tokens(row.tokens);
      for (const auto& [column, unused] : columns_) {
        const auto value = row.values.find(column);
        const bool there = value != row.values.end();
        out.add_values(there ? value->second.first : kNan);
        out.add_standard_errors(there ? value->second.second : kNan);
      }
    }
  }

  int64_t last_step() const { return rows_.back().step; }
  size_t size() const { return rows_.size(); }

 private:
  struct Row {
    int64_t step = 0;
    int64_t tokens = 0;
    std::map<Column, std::pair<float, float>> values;
  };

  const v1::SeriesSelector& selector_;
  std::map<Column, int> columns_;
  std::vector<Row> rows_;
};

constexpr char kSeriesSql[] =
    "SELECT m.step, m.tokens, v.data FROM measurement AS m JOIN metric_values "
    "AS v ON v.measurement_id = m.id AND v.metric = ? AND v.domain = ? WHERE "
    "m.run = ? AND m.stage = ? AND m.series = ? AND m.is_current = 1 AND "
    "m.step > ? AND (m.implausible = 0 OR ?) ORDER BY m.step LIMIT ?";

void BindSeries(Statement& select, const v1::SeriesSelector& selector,
                const std::string& series, int64_t after, int64_t limit) {
  select.Bind(selector.metric())
      .Bind(selector.domain())
      .Bind(selector.run())
      .Bind(selector.stage())
      .Bind(series)
      .Bind(after)
      .Bind(int64_t{selector.include_implausible()})
      .Bind(limit);
}

}  // namespace

absl::StatusOr<v1::ListRunsResponse> Store::ListRuns(const PageOptions& page) {
  base::MutexLock lock(database_->mutex);
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
    v1::RunStatus& run = *response.add_runs();
    run.set_name(select.Text());
    v1::RunConfig config;
    absl::Status status = ReadMessage(select, "run", config);
    if (!status.ok()) return status;
    run.set_root(config.root());
    run.mutable_probe()->set_path(config.probe());
    status = CountStates(connection, run);
    if (status.ok()) status = DescribeLatest(connection, run);
    if (status.ok()) status = ListStages(connection, run);
    if (!status.ok()) return status;
  }
  if (!select.status().ok()) return select.status();
  return response;
}

absl::StatusOr<v1::ListCheckpointsResponse> Store::ListCheckpoints(
    const v1::ListCheckpointsRequest& request) {
  base::MutexLock lock(database_->mutex);
  const int32_t size = PageSize(request.page_size(), kDefaultPage, kMaxPage);
  const auto after = CheckpointPlace::Parse(request.page_token());
  if (!after.ok()) return after.status();
  Statement select(database_->connection, CheckpointsSql(request));
  select.Bind(request.run())
      .Bind(after->stage)
      .Bind(after->step)
      .Bind(after->id);
  if (request.has_stage()) select.Bind(request.stage());
  select.Bind(int64_t{size} + 1);

  v1::ListCheckpointsResponse response;
  while (select.Step()) {
    if (response.checkpoints_size() == size) {
      response.set_next_page_token(
          CheckpointPlace::TokenOf(response.checkpoints(size - 1)));
      break;
    }
    *response.add_checkpoints() = StatusOf(ReadJob(select));
  }
  if (!select.status().ok()) return select.status();
  return response;
}

absl::StatusOr<v1::ListMetricsResponse> Store::ListMetrics(
    const v1::ListMetricsRequest& request) {
  base::MutexLock lock(database_->mutex);
  const int32_t size = PageSize(request.page_size(), kMaxPage, kMaxPage);
  int64_t skipped = 0;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &skipped) || skipped < 0)) {
    return WrongToken(request.page_token());
  }
  // The same name may have been described anew: its latest row speaks.
  Statement select(
      database_->connection,
      "SELECT descriptor FROM metric WHERE (?1 = '' OR run = ?1) "
      "GROUP BY name ORDER BY min(place), name LIMIT ?2 OFFSET ?3");
  select.Bind(request.run()).Bind(int64_t{size} + 1).Bind(skipped);
  v1::ListMetricsResponse response;
  while (select.Step()) {
    if (response.metrics_size() == size) {
      response.set_next_page_token(absl::StrCat(skipped + size));
      break;
    }
    absl::Status status =
        ReadMessage(select, "descriptor", *response.add_metrics());
    if (!status.ok()) return status;
  }
  if (!select.status().ok()) return select.status();
  return response;
}

absl::StatusOr<v1::QuerySeriesResponse> Store::QuerySeries(
    const v1::QuerySeriesRequest& request) {
  base::MutexLock lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const v1::SeriesSelector& selector = request.selector();
  int64_t after = INT64_MIN;
  if (!request.page_token().empty() &&
      !absl::SimpleAtoi(request.page_token(), &after)) {
    return WrongToken(request.page_token());
  }
  const auto series = ShownSeries(connection, selector.run(), selector.stage());
  if (!series.ok()) return series.status();
  const auto metric =
      FindDescriptor(connection, selector.run(), *series, selector.metric());
  if (!metric.ok()) return metric.status();

  const size_t size = PageSize(request.page_size(), kDefaultSteps, kMaxSteps);
  Statement select(connection, kSeriesSql);
  BindSeries(select, selector, *series, after, static_cast<int64_t>(size) + 1);
  SeriesTable table(selector);
  v1::QuerySeriesResponse response;
  while (select.Step()) {
    if (table.size() == size) {
      response.set_next_page_token(absl::StrCat(table.last_step()));
      break;
    }
    const int64_t step = select.Int();
    const int64_t tokens = select.Int();
    const auto blob = Unpack(select.Blob());
    if (!blob.ok()) return blob.status();
    table.Add(step, tokens, *blob);
  }
  if (!select.status().ok()) return select.status();
  table.Fill(*metric, response);
  return response;
}

absl::StatusOr<v1::QueryMatrixResponse> Store::QueryMatrix(
    const v1::QueryMatrixRequest& request) {
  base::MutexLock lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const auto series = ShownSeries(connection, request.run(), request.stage());
  if (!series.ok()) return series.status();
  const auto metric =
      FindDescriptor(connection, request.run(), *series, request.metric());
  if (!metric.ok()) return metric.status();
  Statement select(
      connection,
      "SELECT m.step, v.data FROM measurement AS m JOIN metric_values AS v ON "
      "v.measurement_id = m.id AND v.metric = ? AND v.domain = ? WHERE m.run = "
      "? AND m.stage = ? AND m.series = ? AND m.is_current = 1 AND (? OR "
      "m.step = ?) ORDER BY m.step DESC LIMIT 1");
  select.Bind(request.metric())
      .Bind(request.domain())
      .Bind(request.run())
      .Bind(request.stage())
      .Bind(*series)
      .Bind(int64_t{!request.has_step()})
      .Bind(request.step());
  if (!select.Step()) {
    if (!select.status().ok()) return select.status();
    return absl::NotFoundError(absl::StrCat(
        "run \"", request.run(), "\" has no ", request.metric(),
        " in domain \"", request.domain(), "\"",
        request.has_step() ? absl::StrCat(" at step ", request.step()) : ""));
  }
  v1::QueryMatrixResponse response;
  *response.mutable_metric() = *metric;
  response.set_step(select.Int());
  const auto blob = Unpack(select.Blob());
  if (!blob.ok()) return blob.status();
  for (size_t i = 0; i < blob->layers.size(); ++i) {
    v1::QueryMatrixResponse::Row& row = *response.add_rows();
    if (blob->layers[i].has_value()) row.set_layer(*blob->layers[i]);
    for (int v = 0; v < blob->width; ++v) row.add_values(blob->value(i, v));
  }
  return response;
}

absl::StatusOr<std::vector<Store::StateCount>> Store::CountJobs() {
  base::MutexLock lock(database_->mutex);
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
  return counts;
}

}  // namespace sinkwatch::store
