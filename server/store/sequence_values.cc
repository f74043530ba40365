#include "server/store/sequence_values.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/cancel_scope.h"
#include "server/store/database.h"
#include "server/store/measurement_rows.h"
#include "server/store/sequence_blob.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

// Of model scope, in a row.
constexpr int64_t kNoLayer = INT32_MIN;
// What is read between two turns of others.
constexpr size_t kBytesAtOnce = size_t{4} << 20;

int64_t LayerOf(const v1::MetricVector& vector) {
  return vector.has_layer() ? vector.layer() : kNoLayer;
}

SequenceKey KeyOf(const v1::MetricVector& vector) {
  std::optional<int> layer;
  if (vector.has_layer()) layer = vector.layer();
  return {vector.metric(), vector.domain(), layer};
}

std::string SequencesSql() {
  return "SELECT m.step, s.data FROM measurement AS m JOIN sequence_values AS "
         "s ON s.measurement_id = m.id AND s.metric = ? AND s.domain = ? AND "
         "s.layer = ? WHERE m.run = ? AND m.stage = ? AND m.series = ? AND "
         "m.is_current = 1 AND m.step BETWEEN ? AND ? AND (m.implausible = 0 "
         "OR ?) ORDER BY m.step";
}

struct RawStep {
  int64_t step;
  std::string data;
};

// The next steps of `query` from its first_step on; true if there may be more.
absl::StatusOr<bool> ReadSome(sqlite3* connection, const SequenceQuery& query,
                              const std::string& series,
                              std::vector<RawStep>& steps) {
  Statement select(connection, SequencesSql());
  select.Bind(query.metric)
      .Bind(query.domain)
      .Bind(query.layer.has_value() ? int64_t{*query.layer} : kNoLayer)
      .Bind(query.run)
      .Bind(query.stage)
      .Bind(series)
      .Bind(query.first_step)
      .Bind(query.last_step)
      .Bind(int64_t{query.include_implausible});
  for (size_t bytes = 0; bytes < kBytesAtOnce;) {
    if (!select.Step()) {
      if (!select.status().ok()) return select.status();
      return false;
    }
    RawStep& step = steps.emplace_back();
    step.step = select.Int();
    step.data = select.Blob();
    bytes += step.data.size();
  }
  return true;
}

}  // namespace

absl::Status CheckSequences(const v1::Measurement& measurement) {
  for (const v1::MetricVector& vector : measurement.vectors()) {
    const int numbers = vector.sequence_values_size();
    if (numbers == 0 ||
        (vector.values_size() > 0 && numbers % vector.values_size() == 0)) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "metric \"", vector.metric(), "\" in domain \"", vector.domain(),
        "\" at layer ", vector.layer(), " has ", numbers,
        " values of sequences of ", vector.values_size(), " values"));
  }
  return absl::OkStatus();
}

absl::Status InsertSequences(sqlite3* connection, int64_t id,
                             const v1::Measurement& measurement) {
  Statement insert(connection,
                   "INSERT INTO sequence_values (measurement_id, metric, "
                   "domain, layer, data) VALUES (?, ?, ?, ?, ?)");
  for (const v1::MetricVector& vector : measurement.vectors()) {
    if (vector.sequence_values().empty()) continue;
    const auto& numbers = vector.sequence_values();
    const SequenceBlob blob = {vector.values_size(),
                               numbers.size() / vector.values_size(),
                               {numbers.begin(), numbers.end()}};
    insert.Reset();
    absl::Status status = insert.Bind(id)
                              .Bind(vector.metric())
                              .Bind(vector.domain())
                              .Bind(LayerOf(vector))
                              .BindBlob(Pack(blob))
                              .Run();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredSequences> ReadSequenceBlobs(sqlite3* connection,
                                                  int64_t id) {
  Statement select(connection,
                   "SELECT metric, domain, layer, data FROM sequence_values "
                   "WHERE measurement_id = ?");
  select.Bind(id);
  StoredSequences stored;
  while (select.Step()) {
    SequenceKey key;
    std::get<0>(key) = select.Text();
    std::get<1>(key) = select.Text();
    const int64_t layer = select.Int();
    if (layer != kNoLayer) std::get<2>(key) = static_cast<int>(layer);
    stored[std::move(key)] = select.Blob();
  }
  if (!select.status().ok()) return select.status();
  return stored;
}

absl::Status AddSequences(const StoredSequences& stored,
                          v1::Measurement& measurement) {
  for (v1::MetricVector& vector : *measurement.mutable_vectors()) {
    const auto found = stored.find(KeyOf(vector));
    if (found == stored.end()) continue;
    const auto blob = UnpackSequences(found->second);
    if (!blob.ok()) {
      const v1::Checkpoint& checkpoint = measurement.header().checkpoint();
      return absl::DataLossError(absl::StrCat(
          "run \"", checkpoint.run(), "\", step ", checkpoint.step(),
          ", sequences of metric \"", vector.metric(), "\", domain \"",
          vector.domain(), "\": ", std::string(blob.status().message()),
          "; `sinkctl store repair` has it measured again"));
    }
    vector.mutable_sequence_values()->Add(blob->values.begin(),
                                          blob->values.end());
  }
  return absl::OkStatus();
}

// Rows are copied under the lock, and checked and told without it.
absl::Status Store::ReadSequences(
    SequenceQuery query,
    const std::function<void(int64_t step, const SequenceBlob& values)>& tell) {
  std::string series;
  {
    StoreLock lock(database_->mutex);
    auto shown = ShownSeries(database_->connection, query.run, query.stage);
    if (!shown.ok()) return shown.status();
    series = *std::move(shown);
  }
  bool more = true;
  while (more) {
    if (CancelScope::IsCancelled()) {
      return absl::CancelledError("nobody waits for the sequences any more");
    }
    std::vector<RawStep> steps;
    {
      StoreLock lock(database_->mutex);
      const auto read = ReadSome(database_->connection, query, series, steps);
      if (!read.ok()) return read.status();
      more = *read && steps.back().step < query.last_step;
    }
    for (const RawStep& step : steps) {
      const auto blob = UnpackSequences(step.data);
      if (blob.ok()) tell(step.step, *blob);
    }
    if (more) query.first_step = steps.back().step + 1;
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::store
