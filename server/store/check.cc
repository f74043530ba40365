#include "server/store/check.h"

#include <utility>

#include "server/store/cancel_scope.h"
#include "server/store/database.h"
#include "server/store/sequence_blob.h"
#include "server/store/statement.h"
#include "server/store/value_blob.h"

namespace sinkwatch::store {
namespace {

// What is read while others wait.
constexpr size_t kBytesAtOnce = size_t{4} << 20;

using Kind = FoundDamage::Kind;
using Found = std::vector<FoundDamage>;

FoundDamage Damaged(const Store::Damage& place, Kind kind,
                    const absl::Status& status) {
  FoundDamage found{place, kind, ""};
  found.damage.what = std::string(status.message());
  return found;
}

// Walks over what is stored, a stretch at a time.
class Walk {
 public:
  Walk(sqlite3* connection, Store::CheckReport& report)
      : connection_(connection), report_(report) {}

  // Reads the next stretch. False at the end.
  bool Next(Found& found) {
    switch (stage_) {
      case Stage::kRuns:
        CheckRuns(found);
        stage_ = Stage::kDescriptors;
        return true;
      case Stage::kDescriptors:
        CheckDescriptors(found);
        stage_ = Stage::kMeasurement;
        return true;
      case Stage::kMeasurement:
        return NextMeasurement(found);
      case Stage::kValues:
        CheckValues(found);
        return true;
      case Stage::kSequences:
        CheckSequences(found);
        return true;
    }
    return false;
  }

 private:
  enum class Stage { kRuns, kDescriptors, kMeasurement, kValues, kSequences };

  // What SQLite itself cannot read; the walk goes on behind it.
  void NoteFile(const absl::Status& status, const Store::Damage& place,
                Found& found) {
    if (!status.ok()) found.push_back(Damaged(place, Kind::kFile, status));
  }

  void CheckRuns(Found& found) {
    Statement select(connection_,
                     "SELECT name, config FROM run WHERE followed > 0");
    while (select.Step()) {
      Store::Damage place;
      place.run = select.Text();
      v1::RunConfig config;
      const absl::Status status = ReadMessage(select, "run", config);
      if (!status.ok()) found.push_back(Damaged(place, Kind::kRun, status));
    }
    NoteFile(select.status(), {}, found);
  }

  void CheckDescriptors(Found& found) {
    Statement select(connection_,
                     "SELECT run, series, name, descriptor FROM metric");
    while (select.Step()) {
      Store::Damage place;
      place.run = select.Text();
      const std::string series = select.Text();
      place.metric = select.Text();
      v1::MetricDescriptor metric;
      absl::Status status = ReadMessage(select, "descriptor", metric);
      if (status.ok() && metric.name() != place.metric) {
        status = absl::DataLossError("the definition is of another metric");
      }
      if (status.ok()) continue;
      found.push_back(Damaged(place, Kind::kDescriptor, status));
      found.back().series = series;
    }
    NoteFile(select.status(), {}, found);
  }

  bool NextMeasurement(Found& found) {
    Statement select(connection_,
                     "SELECT id, run, stage, step, header FROM measurement "
                     "WHERE id > ? ORDER BY id LIMIT 1");
    select.Bind(place_.measurement);
    if (!select.Step()) {
      NoteFile(select.status(), {}, found);
      return false;
    }
    place_.measurement = select.Int();
    place_.run = select.Text();
    place_.stage = select.Text();
    place_.step = select.Int();
    ++report_.measurements;
    v1::MeasurementHeader header;
    const absl::Status status = ReadMessage(select, "header", header);
    if (!status.ok()) found.push_back(Damaged(place_, Kind::kHeader, status));
    CheckTensors(found);
    metric_.clear();
    domain_.clear();
    stage_ = Stage::kValues;
    return true;
  }

  void CheckTensors(Found& found) {
    Statement select(connection_,
                     "SELECT data FROM tensor_digests WHERE measurement_id = "
                     "?");
    select.Bind(place_.measurement);
    if (select.Step()) {
      v1::MeasurementTrailer digests;
      const absl::Status status =
          ReadMessage(select, "list of digests", digests);
      if (!status.ok()) {
        found.push_back(Damaged(place_, Kind::kTensors, status));
      }
    }
    NoteFile(select.status(), place_, found);
  }

  // The measurement's blobs in the order of their key.
  void CheckValues(Found& found) {
    Statement select(connection_,
                     "SELECT metric, domain, data FROM metric_values WHERE "
                     "measurement_id = ? AND (metric, domain) > (?, ?) ORDER "
                     "BY metric, domain");
    select.Bind(place_.measurement).Bind(metric_).Bind(domain_);
    for (size_t bytes = 0; bytes < kBytesAtOnce;) {
      if (!select.Step()) {
        NoteFile(select.status(), place_, found);
        metric_.clear();
        domain_.clear();
        layer_ = INT64_MIN;
        stage_ = Stage::kSequences;
        return;
      }
      Store::Damage place = place_;
      place.metric = metric_ = select.Text();
      place.domain = domain_ = select.Text();
      const absl::string_view blob = select.BlobInPlace();
      bytes += blob.size();
      ++report_.blobs;
      const absl::Status status = BlobView::Parse(blob).status();
      if (!status.ok()) found.push_back(Damaged(place, Kind::kValues, status));
    }
  }

  // The blobs of its sequences as well.
  void CheckSequences(Found& found) {
    Statement select(connection_,
                     "SELECT metric, domain, layer, data FROM sequence_values "
                     "WHERE measurement_id = ? AND (metric, domain, layer) > "
                     "(?, ?, ?) ORDER BY metric, domain, layer");
    select.Bind(place_.measurement).Bind(metric_).Bind(domain_).Bind(layer_);
    for (size_t bytes = 0; bytes < kBytesAtOnce;) {
      if (!select.Step()) {
        NoteFile(select.status(), place_, found);
        stage_ = Stage::kMeasurement;
        return;
      }
      Store::Damage place = place_;
      place.metric = metric_ = select.Text();
      place.domain = domain_ = select.Text();
      layer_ = select.Int();
      const absl::string_view blob = select.BlobInPlace();
      bytes += blob.size();
      ++report_.blobs;
      const absl::Status status = UnpackSequences(blob).status();
      if (status.ok()) continue;
      found.push_back(Damaged(place, Kind::kSequences, status));
    }
  }

  sqlite3* const connection_;
  Store::CheckReport& report_;
  Stage stage_ = Stage::kRuns;
  Store::Damage place_;          // of the measurement that is being read
  std::string metric_, domain_;  // of its blob that was read last
  int64_t layer_ = INT64_MIN;
};

}  // namespace

absl::Status CheckAll(StoreMutex& mutex, sqlite3* connection,
                      const std::function<void(FoundDamage)>& found,
                      Store::CheckReport& report) {
  Walk walk(connection, report);
  bool more = true;
  while (more) {
    if (CancelScope::IsCancelled()) {
      return absl::CancelledError("nobody waits for the check any more");
    }
    Found here;
    {
      StoreLock lock(mutex);
      more = walk.Next(here);
    }
    for (FoundDamage& damage : here) found(std::move(damage));
  }
  return absl::OkStatus();
}

absl::StatusOr<Store::CheckReport> Store::Check()
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  CheckReport report;
  const auto note = [&report](FoundDamage found) {
    ++report.total_damage;
    if (report.total_damage > kMaxDamage) return;
    report.damage.push_back(std::move(found.damage));
  };
  absl::Status status =
      CheckAll(database_->mutex, database_->connection, note, report);
  if (!status.ok()) return status;
  return report;
}

}  // namespace sinkwatch::store
