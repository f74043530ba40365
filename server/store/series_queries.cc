// The methods of Store that answer with values.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/store/database.h"
#include "server/store/paging.h"
#include "server/store/series.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

constexpr int32_t kDefaultSteps = 2000;
constexpr int32_t kMaxSteps = 20000;

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

// A metric of a run's stage as it is shown.
struct ShownMetric {
  std::string series;
  v1::MetricDescriptor metric;
};

absl::StatusOr<ShownMetric> FindShown(sqlite3* connection,
                                      const std::string& run,
                                      const std::string& stage,
                                      const std::string& name) {
  auto series = ShownSeries(connection, run, stage);
  if (!series.ok()) return series.status();
  auto metric = FindDescriptor(connection, run, *series, name);
  if (!metric.ok()) return metric.status();
  return ShownMetric{*std::move(series), *std::move(metric)};
}

v1::SeriesKey KeyOf(const SeriesColumn& column,
                    const v1::MetricDescriptor& metric) {
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

// Rows that are read at a time, and bytes of their blobs: between two batches
// others have their turn.
constexpr int64_t kBatchRows = 1024;
constexpr size_t kBatchBytes = size_t{8} << 20;

// What a batch came to.
struct Batch {
  int64_t rows = 0;  // that were added
  int64_t last_step = 0;
  bool ended = false;
  bool cut = false;  // there was one more than was wanted
};

std::string SeriesSql(const SeriesQuery& query) {
  return absl::StrCat(
      "SELECT m.step, m.tokens, v.data FROM measurement AS m JOIN "
      "metric_values AS v ON v.measurement_id = m.id AND v.metric = ? AND "
      "v.domain = ? WHERE m.run = ? AND m.stage = ? AND m.series = ? AND "
      "m.is_current = 1 AND m.step BETWEEN ? AND ? AND (m.implausible = 0 OR "
      "?) ORDER BY m.step",
      query.newest ? " DESC" : "", " LIMIT ?");
}

// Adds the next steps of `query`, in its order, at most `most` of them. Blobs
// are decoded where they lie: copying them first would cost more than the lock
// that it would free.
absl::StatusOr<Batch> AddSteps(sqlite3* connection, const SeriesQuery& query,
                               const std::string& series, int64_t most,
                               SeriesBuilder& builder) {
  // One more than is wanted tells whether there are more.
  const int64_t limit = std::min(most + 1, kBatchRows);
  Statement select(connection, SeriesSql(query));
  select.Bind(query.metric)
      .Bind(query.domain)
      .Bind(query.run)
      .Bind(query.stage)
      .Bind(series)
      .Bind(query.first_step)
      .Bind(query.last_step)
      .Bind(int64_t{query.include_implausible})
      .Bind(limit);
  Batch batch;
  size_t bytes = 0;
  while (bytes < kBatchBytes && select.Step()) {
    batch.cut = batch.rows == most;
    if (batch.cut) return batch;
    batch.last_step = select.Int();
    const int64_t tokens = select.Int();
    const absl::string_view blob = select.BlobInPlace();
    absl::Status status = builder.Add(batch.last_step, tokens, blob);
    if (!status.ok()) return status;
    ++batch.rows;
    bytes += blob.size();
  }
  if (!select.status().ok()) return select.status();
  batch.ended = bytes < kBatchBytes && batch.rows < limit;
  return batch;
}

// Leaves to `query` what lies behind `step`; false if that is nothing.
bool GoOn(SeriesQuery& query, int64_t step) {
  if (step == (query.newest ? query.first_step : query.last_step)) return false;
  if (query.newest) {
    query.last_step = step - 1;
  } else {
    query.first_step = step + 1;
  }
  return true;
}

}  // namespace

absl::StatusOr<Series> Store::ReadSeries(SeriesQuery query) {
  const auto locked = [this](const auto& read) {
    StoreLock lock(database_->mutex);
    return read(database_->connection);
  };
  const auto shown = locked([&](sqlite3* connection) {
    return FindShown(connection, query.run, query.stage, query.metric);
  });
  if (!shown.ok()) return shown.status();
  SeriesBuilder builder(query);
  int64_t left = query.max_steps;
  Batch batch;
  while (!batch.ended && !batch.cut) {
    if (query.cancelled && query.cancelled()) {
      return absl::CancelledError("nobody waits for the series any more");
    }
    const auto added = locked([&](sqlite3* connection) {
      return AddSteps(connection, query, shown->series, left, builder);
    });
    if (!added.ok()) return added.status();
    batch = *added;
    left -= batch.rows;
    if (batch.ended || batch.cut) break;
    batch.ended = !GoOn(query, batch.last_step);
  }
  Series series = builder.Finish();
  series.metric = shown->metric;
  series.cut = batch.cut;
  return series;
}

absl::StatusOr<v1::QuerySeriesResponse> Store::QuerySeries(
    const v1::QuerySeriesRequest& request) {
  const v1::SeriesSelector& selector = request.selector();
  SeriesQuery query;
  query.run = selector.run();
  query.stage = selector.stage();
  query.metric = selector.metric();
  query.domain = selector.domain();
  query.layers = {selector.layers().begin(), selector.layers().end()};
  query.heads = {selector.heads().begin(), selector.heads().end()};
  query.include_implausible = selector.include_implausible();
  query.max_steps = PageSize(request.page_size(), kDefaultSteps, kMaxSteps);
  int64_t after = INT64_MIN;
  if (!request.page_token().empty() &&
      !absl::SimpleAtoi(request.page_token(), &after)) {
    return WrongToken(request.page_token());
  }
  if (after != INT64_MIN) query.first_step = after + 1;
  const auto series = ReadSeries(std::move(query));
  if (!series.ok()) return series.status();
  v1::QuerySeriesResponse response;
  *response.mutable_metric() = series->metric;
  for (const SeriesColumn& column : series->columns) {
    *response.add_columns() = KeyOf(column, series->metric);
  }
  const size_t columns = series->columns.size();
  for (size_t i = 0; i < series->steps.size(); ++i) {
    v1::SeriesRow& row = *response.add_rows();
    row.set_step(series->steps[i]);
    row.set_tokens(series->tokens[i]);
    const auto values = series->values.begin() + i * columns;
    row.mutable_values()->Add(values, values + columns);
    const auto errors = series->standard_errors.begin() + i * columns;
    row.mutable_standard_errors()->Add(errors, errors + columns);
  }
  if (series->cut) {
    response.set_next_page_token(absl::StrCat(series->steps.back()));
  }
  return response;
}

absl::StatusOr<v1::QueryMatrixResponse> Store::QueryMatrix(
    const v1::QueryMatrixRequest& request) {
  SeriesQuery query;
  query.run = request.run();
  query.stage = request.stage();
  query.metric = request.metric();
  query.domain = request.domain();
  query.include_implausible = true;
  query.newest = true;
  query.max_steps = 1;
  if (request.has_step()) query.first_step = query.last_step = request.step();
  const auto series = ReadSeries(query);
  if (!series.ok()) return series.status();
  if (series->steps.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "run \"", request.run(), "\" has no ", request.metric(),
        " in domain \"", request.domain(), "\"",
        request.has_step() ? absl::StrCat(" at step ", request.step()) : ""));
  }
  v1::QueryMatrixResponse response;
  *response.mutable_metric() = series->metric;
  response.set_step(series->steps[0]);
  for (size_t j = 0; j < series->columns.size(); ++j) {
    const std::optional<int>& layer = series->columns[j].first;
    if (j == 0 || layer != series->columns[j - 1].first) {
      v1::QueryMatrixResponse::Row& row = *response.add_rows();
      if (layer.has_value()) row.set_layer(*layer);
    }
    response.mutable_rows()->rbegin()->add_values(series->value(0, j));
  }
  return response;
}

}  // namespace sinkwatch::store
