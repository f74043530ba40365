// The methods of Store that answer with values.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/cancel_scope.h"
#include "server/store/database.h"
#include "server/store/measurement_rows.h"
#include "server/store/series.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

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

// How many steps a query may find: those that lack the metric are among them.
absl::StatusOr<int64_t> CountSteps(sqlite3* connection,
                                   const SeriesQuery& query,
                                   const std::string& series) {
  Statement select(connection,
                   "SELECT count(*) FROM measurement WHERE run = ? AND stage = "
                   "? AND series = ? AND is_current = 1 AND step BETWEEN ? AND "
                   "? AND (implausible = 0 OR ?)");
  select.Bind(query.run)
      .Bind(query.stage)
      .Bind(series)
      .Bind(query.first_step)
      .Bind(query.last_step)
      .Bind(int64_t{query.include_implausible});
  if (!select.Step()) return select.status();
  return std::min(select.Int(), query.max_steps);
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

std::shared_ptr<CellBudget::Hold> Store::NewHold() {
  return database_->cells->NewHold();
}

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

absl::StatusOr<Series> Store::ReadSeries(SeriesQuery query) {
  const auto deadline = CellBudget::Clock::now() +
                        absl::ToChronoMilliseconds(database_->read_patience);
  while (true) {
    auto series = TryReadSeries(query);
    if (!absl::IsResourceExhausted(series.status()) ||
        !database_->cells->WaitForOthers(deadline)) {
      return series;
    }
  }
}

absl::StatusOr<Series> Store::TryReadSeries(SeriesQuery query) {
  const auto locked = [this](const auto& read) {
    StoreLock lock(database_->mutex);
    return read(database_->connection);
  };
  const auto shown = locked([&](sqlite3* connection) {
    return FindShown(connection, query.run, query.stage, query.metric);
  });
  if (!shown.ok()) return shown.status();
  const auto expected = locked([&](sqlite3* connection) {
    return CountSteps(connection, query, shown->series);
  });
  if (!expected.ok()) return expected.status();
  SeriesBuilder builder(query, *expected, database_->cells->NewHold());
  int64_t left = query.max_steps;
  Batch batch;
  while (!batch.ended && !batch.cut) {
    if (CancelScope::IsCancelled()) {
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

}  // namespace sinkwatch::store
