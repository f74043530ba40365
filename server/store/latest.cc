// The methods of Store behind the now plane: the latest of each run.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/database.h"
#include "server/store/measurement_rows.h"
#include "server/store/statement.h"
#include "server/store/store.h"
#include "server/store/value_blob.h"

namespace sinkwatch::store {
namespace {

struct SeriesKey {
  std::string stage;
  std::string series;
};

// The keys of a run one after the other, each by one look-up in the index:
// DISTINCT would read an entry of every measurement.
absl::StatusOr<std::vector<SeriesKey>> SeriesOfRun(sqlite3* connection,
                                                   const std::string& run) {
  std::vector<SeriesKey> keys;
  Statement next(connection,
                 "SELECT stage, series FROM measurement INDEXED BY "
                 "measurement_by_step WHERE run = ? AND (stage, series) > (?, "
                 "?) ORDER BY stage, series LIMIT 1");
  SeriesKey last;  // below every key: a series is never empty
  while (next.Bind(run).Bind(last.stage).Bind(last.series).Step()) {
    last.stage = next.Text();
    last.series = next.Text();
    keys.push_back(last);
    next.Reset();
  }
  if (!next.status().ok()) return next.status();
  return keys;
}

absl::StatusOr<std::vector<std::string>> FollowedRuns(sqlite3* connection) {
  Statement select(connection,
                   "SELECT name FROM run WHERE followed > 0 ORDER BY name");
  std::vector<std::string> names;
  while (select.Step()) names.push_back(select.Text());
  if (!select.status().ok()) return select.status();
  return names;
}

absl::StatusOr<bool> NewestIsImplausible(sqlite3* connection,
                                         const std::string& run) {
  const auto keys = SeriesOfRun(connection, run);
  if (!keys.ok()) return keys.status();
  Statement select(connection,
                   "SELECT step, implausible FROM measurement WHERE run = ? "
                   "AND stage = ? AND series = ? AND is_current = 1 ORDER BY "
                   "step DESC LIMIT 1");
  std::map<std::string, std::pair<int64_t, bool>> newest;  // by stage
  for (const SeriesKey& key : *keys) {
    select.Reset();
    select.Bind(run).Bind(key.stage).Bind(key.series);
    if (!select.Step()) continue;
    const int64_t step = select.Int();
    const bool implausible = select.Int() != 0;
    auto& of_stage = newest.try_emplace(key.stage, step, false).first->second;
    if (step >= of_stage.first) of_stage = {step, implausible};
  }
  if (!select.status().ok()) return select.status();
  return std::any_of(newest.begin(), newest.end(),
                     [](const auto& item) { return item.second.second; });
}

// Adds the latest of every stage of a run.
absl::Status AddLatest(sqlite3* connection, const std::string& run,
                       std::vector<Store::LatestKey>& latest) {
  const auto keys = SeriesOfRun(connection, run);
  if (!keys.ok()) return keys.status();
  Statement select(connection,
                   "SELECT id, step FROM measurement WHERE run = ? AND stage = "
                   "? AND series = ? AND is_current = 1 AND implausible = 0 "
                   "ORDER BY step DESC LIMIT 1");
  for (const SeriesKey& key : *keys) {
    select.Reset();
    select.Bind(run).Bind(key.stage).Bind(key.series);
    if (!select.Step()) {
      if (!select.status().ok()) return select.status();
      continue;
    }
    Store::LatestKey found;
    found.measurement = select.Int();
    found.run = run;
    found.stage = key.stage;
    found.step = select.Int();
    const bool same_stage = !latest.empty() && latest.back().run == run &&
                            latest.back().stage == key.stage;
    if (!same_stage) {
      latest.push_back(std::move(found));
    } else if (found.step > latest.back().step) {
      latest.back() = std::move(found);
    }
  }
  return absl::OkStatus();
}

void AddVectors(const ValueBlob& blob, const std::string& domain,
                const std::string& metric,
                std::vector<v1::MetricVector>& vectors) {
  for (size_t layer = 0; layer < blob.layers.size(); ++layer) {
    v1::MetricVector vector;
    vector.set_domain(domain);
    vector.set_metric(metric);
    if (blob.layers[layer].has_value()) vector.set_layer(*blob.layers[layer]);
    vector.set_count(blob.counts[layer]);
    vector.mutable_values()->Reserve(blob.width);
    for (int i = 0; i < blob.width; ++i) {
      vector.add_values(blob.value(layer, i));
    }
    vectors.push_back(std::move(vector));
  }
}

}  // namespace

absl::StatusOr<std::vector<Store::LatestKey>> Store::LatestKeys() {
  StoreLock lock(database_->mutex);
  const auto names = FollowedRuns(database_->connection);
  if (!names.ok()) return names.status();
  std::vector<LatestKey> latest;
  for (const std::string& name : *names) {
    absl::Status status = AddLatest(database_->connection, name, latest);
    if (!status.ok()) return status;
  }
  return latest;
}

absl::StatusOr<std::vector<std::string>> Store::ImplausibleRuns() {
  StoreLock lock(database_->mutex);
  const auto names = FollowedRuns(database_->connection);
  if (!names.ok()) return names.status();
  std::vector<std::string> runs;
  for (const std::string& name : *names) {
    const auto implausible = NewestIsImplausible(database_->connection, name);
    if (!implausible.ok()) return implausible.status();
    if (*implausible) runs.push_back(name);
  }
  return runs;
}

absl::StatusOr<v1::Measurement> Store::MeasurementFacts(int64_t measurement) {
  StoreLock lock(database_->mutex);
  return ReadFacts(database_->connection, measurement);
}

absl::StatusOr<Store::MetricVectors> Store::ReadMetrics(
    int64_t measurement, const std::vector<std::string>& metrics) {
  StoreLock lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT domain, data FROM metric_values WHERE "
                   "measurement_id = ? AND metric = ? ORDER BY domain");
  MetricVectors found;
  for (const std::string& metric : metrics) {
    select.Reset();
    select.Bind(measurement).Bind(metric);
    while (select.Step()) {
      const std::string domain = select.Text();
      const auto blob = Unpack(select.Blob());
      if (blob.ok()) {
        AddVectors(*blob, domain, metric, found.vectors);
      } else {
        found.damaged.push_back(
            absl::StrCat("metric ", metric, ", domain ", domain, ": ",
                         std::string(blob.status().message())));
      }
    }
    if (!select.status().ok()) return select.status();
  }
  return found;
}

}  // namespace sinkwatch::store
