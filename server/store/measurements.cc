// The methods of Store that write and read whole measurements.
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "server/store/database.h"
#include "server/store/job_rows.h"
#include "server/store/measurement_rows.h"
#include "server/store/same_weights.h"
#include "server/store/sequence_values.h"
#include "server/store/statement.h"
#include "server/store/store.h"
#include "server/store/value_blob.h"

namespace sinkwatch::store {
namespace {

using google::protobuf::util::TimeUtil;

std::optional<int> LayerOf(const v1::MetricVector& vector) {
  return vector.has_layer() ? std::optional<int>(vector.layer()) : std::nullopt;
}

// The vectors of a metric in a domain.
using MetricDomain = std::pair<std::string, std::string>;
using Grouped = std::vector<std::pair<MetricDomain, ValueBlob>>;

// Groups and the vectors in each in the order in which they came.
Grouped GroupVectors(const v1::Measurement& measurement) {
  Grouped grouped;
  std::map<MetricDomain, size_t> places;
  for (const v1::MetricVector& vector : measurement.vectors()) {
    const MetricDomain key(vector.metric(), vector.domain());
    const auto [place, is_new] = places.try_emplace(key, grouped.size());
    if (is_new) grouped.emplace_back(key, ValueBlob());
    ValueBlob& blob = grouped[place->second].second;
    blob.width = vector.values_size();
    blob.layers.push_back(LayerOf(vector));
    blob.counts.push_back(vector.count());
    blob.values.insert(blob.values.end(), vector.values().begin(),
                       vector.values().end());
    blob.standard_errors.insert(blob.standard_errors.end(),
                                vector.standard_errors().begin(),
                                vector.standard_errors().end());
  }
  return grouped;
}

// A blob holds a rectangle, so the layers of a metric have equal widths.
absl::Status CheckShapes(const v1::Measurement& measurement) {
  std::map<std::pair<std::string, std::string>, int> widths;
  for (const v1::MetricVector& vector : measurement.vectors()) {
    const int width = vector.values_size();
    const auto known =
        widths.try_emplace({vector.metric(), vector.domain()}, width).first;
    if (known->second != width || vector.standard_errors_size() != width) {
      return absl::InvalidArgumentError(absl::StrCat(
          "metric \"", vector.metric(), "\" in domain \"", vector.domain(),
          "\" at layer ", vector.layer(), " has ", width, " values and ",
          vector.standard_errors_size(), " standard errors; its first layer ",
          "has ", known->second));
    }
  }
  return absl::OkStatus();
}

absl::Status InsertValues(sqlite3* connection, int64_t id,
                          const v1::Measurement& measurement) {
  Statement insert(connection,
                   "INSERT INTO metric_values (measurement_id, domain, metric, "
                   "data) VALUES (?, ?, ?, ?)");
  for (const auto& [key, blob] : GroupVectors(measurement)) {
    insert.Reset();
    absl::Status status = insert.Bind(id)
                              .Bind(key.second)
                              .Bind(key.first)
                              .BindBlob(Pack(blob))
                              .Run();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// A metric has one scope in a series: its columns would not be what they were.
absl::Status CheckScopes(sqlite3* connection,
                         const v1::MeasurementHeader& header) {
  Statement select(connection,
                   "SELECT descriptor FROM metric WHERE run = ? AND series = ? "
                   "AND name = ?");
  for (const v1::MetricDescriptor& metric : header.metrics()) {
    select.Reset();
    select.Bind(header.checkpoint().run())
        .Bind(SeriesOf(header))
        .Bind(metric.name());
    if (!select.Step()) continue;
    v1::MetricDescriptor known;
    // One that cannot be read says nothing, and is replaced by this one.
    if (!ReadMessage(select, "descriptor", known).ok()) continue;
    if (known.scope() != metric.scope()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "metric \"", metric.name(), "\" is ", v1::Scope_Name(known.scope()),
          " in what was measured before and ", v1::Scope_Name(metric.scope()),
          " here: its definition needs another spec_version"));
    }
  }
  return select.status();
}

absl::Status PutTensors(sqlite3* connection, int64_t id,
                        const v1::Measurement& measurement) {
  if (measurement.tensors().empty() && measurement.notes().empty() &&
      measurement.sinks().empty() && measurement.massive_dimensions().empty()) {
    return absl::OkStatus();
  }
  v1::MeasurementTrailer digests;
  *digests.mutable_tensors() = measurement.tensors();
  *digests.mutable_notes() = measurement.notes();
  *digests.mutable_sinks() = measurement.sinks();
  *digests.mutable_massive_dimensions() = measurement.massive_dimensions();
  Statement insert(connection,
                   "INSERT INTO tensor_digests (measurement_id, data) VALUES "
                   "(?, ?)");
  return insert.Bind(id).BindBlob(digests.SerializeAsString()).Run();
}

absl::Status PutDescriptors(sqlite3* connection,
                            const v1::MeasurementHeader& header) {
  Statement put(connection,
                "INSERT INTO metric (name, series, run, place, descriptor) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, series, name) DO "
                "UPDATE SET place = excluded.place, descriptor = "
                "excluded.descriptor WHERE descriptor <> excluded.descriptor");
  int64_t place = 0;
  for (const v1::MetricDescriptor& metric : header.metrics()) {
    put.Reset();
    absl::Status status = put.Bind(metric.name())
                              .Bind(SeriesOf(header))
                              .Bind(header.checkpoint().run())
                              .Bind(place++)
                              .BindBlob(metric.SerializeAsString())
                              .Run();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Of several contents of a step, the one measured last is current: a worker of
// an older content was fenced off, so what comes last is what lies there.
absl::Status MarkCurrent(sqlite3* connection, int64_t id, const JobRecord& job,
                         const std::string& series) {
  // The row that was just written has the highest id of all.
  Statement update(
      connection,
      "UPDATE measurement SET is_current = CASE WHEN id = ? THEN 1 "
      "ELSE 0 END WHERE run = ? AND stage = ? AND series = ? AND "
      "step = ? AND is_current IN (0, 1)");
  const v1::Checkpoint& checkpoint = job.job.checkpoint();
  return update.Bind(id)
      .Bind(checkpoint.run())
      .Bind(checkpoint.stage())
      .Bind(series)
      .Bind(checkpoint.step())
      .Run();
}

absl::StatusOr<int64_t> InsertMeasurement(sqlite3* connection,
                                          const JobRecord& job,
                                          const v1::Measurement& measurement,
                                          absl::Time now) {
  v1::MeasurementHeader header = measurement.header();
  // What the server leased is what was measured, whatever the worker says.
  *header.mutable_checkpoint() = job.job.checkpoint();
  header.mutable_probe()->set_digest(job.job.probe().digest());
  absl::Status status = CheckScopes(connection, header);
  if (status.ok()) status = PutDescriptors(connection, header);
  if (!status.ok()) return status;
  const std::string series = SeriesOf(header);
  header.clear_metrics();

  Statement insert(connection,
                   "INSERT INTO measurement (job_id, run, stage, step, tokens, "
                   "fingerprint, probe_digest, series, header, content_digest, "
                   "committed, implausible, implausible_reason, load_seconds, "
                   "compute_seconds, device, is_current) VALUES (?, ?, ?, ?, "
                   "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)");
  const v1::Checkpoint& checkpoint = job.job.checkpoint();
  status = insert.Bind(job.job.id())
               .Bind(checkpoint.run())
               .Bind(checkpoint.stage())
               .Bind(checkpoint.step())
               .Bind(checkpoint.tokens())
               .Bind(checkpoint.fingerprint())
               .Bind(job.job.probe().digest())
               .Bind(series)
               .BindBlob(header.SerializeAsString())
               .Bind(measurement.content_digest())
               .Bind(now)
               .Bind(int64_t{measurement.implausible()})
               .Bind(measurement.implausible_reason())
               .Bind(measurement.load_seconds())
               .Bind(measurement.compute_seconds())
               .Bind(header.device())
               .Run();
  if (!status.ok()) return status;
  const int64_t id = sqlite3_last_insert_rowid(connection);
  status = MarkCurrent(connection, id, job, series);
  if (!status.ok()) return status;
  return id;
}

absl::StatusOr<CommitResult> CommitOne(sqlite3* connection,
                                       const Store::CommitRequest& request,
                                       absl::Time now) {
  const auto job = FindJob(connection, request.job_id);
  if (!job.ok()) return job.status();
  if (job->state == v1::JOB_STATE_DONE) return CommitResult::kAlreadyCommitted;
  absl::Status status = CheckLeased(*job, request.token);
  if (status.ok()) status = CheckShapes(request.measurement);
  if (status.ok()) status = CheckSequences(request.measurement);
  if (!status.ok()) return status;
  const auto id = InsertMeasurement(connection, *job, request.measurement, now);
  if (!id.ok()) return id.status();
  status = InsertValues(connection, *id, request.measurement);
  if (status.ok()) {
    status = InsertSequences(connection, *id, request.measurement);
  }
  if (status.ok()) status = PutTensors(connection, *id, request.measurement);
  if (status.ok()) {
    status = CompareWeights(connection, *id, job->job.checkpoint(),
                            request.measurement);
  }
  if (!status.ok()) return status;
  Statement done(connection,
                 absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_DONE,
                              ", outcome = 0, reason = '', progress = 1, "
                              "updated = ? WHERE id = ?"));
  status = done.Bind(now).Bind(request.job_id).Run();
  if (!status.ok()) return status;
  return CommitResult::kCommitted;
}

// A blob of a measurement as it lies in the file.
struct StoredBlob {
  std::string domain;
  std::string metric;
  std::string data;
};

absl::StatusOr<std::vector<StoredBlob>> ReadBlobs(sqlite3* connection,
                                                  int64_t id) {
  Statement select(connection,
                   "SELECT domain, metric, data FROM metric_values WHERE "
                   "measurement_id = ? ORDER BY metric, domain");
  select.Bind(id);
  std::vector<StoredBlob> blobs;
  while (select.Step()) {
    StoredBlob& blob = blobs.emplace_back();
    blob.domain = select.Text();
    blob.metric = select.Text();
    blob.data = select.Blob();
  }
  if (!select.status().ok()) return select.status();
  return blobs;
}

absl::Status AddVectors(const StoredBlob& stored,
                        v1::Measurement& measurement) {
  const auto blob = Unpack(stored.data);
  if (!blob.ok()) {
    const v1::Checkpoint& checkpoint = measurement.header().checkpoint();
    return absl::DataLossError(absl::StrCat(
        "run \"", checkpoint.run(), "\", step ", checkpoint.step(),
        ", metric \"", stored.metric, "\", domain \"", stored.domain,
        "\": ", std::string(blob.status().message()),
        "; `sinkctl store repair` has it measured again"));
  }
  for (size_t i = 0; i < blob->layers.size(); ++i) {
    v1::MetricVector& vector = *measurement.add_vectors();
    vector.set_domain(stored.domain);
    vector.set_metric(stored.metric);
    if (blob->layers[i].has_value()) vector.set_layer(*blob->layers[i]);
    vector.set_count(blob->counts[i]);
    for (int v = 0; v < blob->width; ++v) {
      vector.add_values(blob->value(i, v));
      vector.add_standard_errors(blob->standard_error(i, v));
    }
  }
  return absl::OkStatus();
}

// The id of the measurement that is asked for.
absl::StatusOr<int64_t> FindMeasurement(
    sqlite3* connection, const v1::GetMeasurementRequest& request) {
  std::string sql =
      "SELECT id FROM measurement WHERE run = ? AND stage = ? AND step = ?";
  if (!request.fingerprint().empty()) {
    absl::StrAppend(&sql, " AND fingerprint = ?");
  }
  if (!request.probe_digest().empty()) {
    absl::StrAppend(&sql, " AND probe_digest = ?");
  }
  absl::StrAppend(&sql, " ORDER BY is_current DESC, id DESC LIMIT 1");
  Statement select(connection, sql);
  select.Bind(request.run()).Bind(request.stage()).Bind(request.step());
  if (!request.fingerprint().empty()) select.Bind(request.fingerprint());
  if (!request.probe_digest().empty()) select.Bind(request.probe_digest());
  if (select.Step()) return select.Int();
  if (!select.status().ok()) return select.status();
  return absl::NotFoundError(absl::StrCat("run \"", request.run(),
                                          "\" has no measurement of step ",
                                          request.step()));
}

}  // namespace

bool IsRefusal(const absl::Status& status) {
  return absl::IsAborted(status) || absl::IsNotFound(status) ||
         absl::IsInvalidArgument(status);
}

std::string SeriesOf(const v1::MeasurementHeader& header) {
  return absl::StrCat(header.probe().digest(), "|", header.spec_version(), "|",
                      header.dtype(), "|", header.sequence_length(), "|",
                      header.bos_policy(),
                      // What was measured before there were protocols has none.
                      header.protocol().empty() ? "" : "|", header.protocol());
}

absl::Status ReadDescriptors(sqlite3* connection, const std::string& run,
                             const std::string& series,
                             v1::MeasurementHeader& header) {
  Statement select(connection,
                   "SELECT descriptor FROM metric WHERE run = ? AND series = ? "
                   "ORDER BY place");
  select.Bind(run).Bind(series);
  while (select.Step()) {
    v1::MetricDescriptor metric;
    // One that cannot be read costs its metric; Check tells of it.
    if (!ReadMessage(select, "descriptor", metric).ok()) continue;
    *header.add_metrics() = std::move(metric);
  }
  return select.status();
}

absl::Status ReadTensors(sqlite3* connection, int64_t id,
                         v1::Measurement& measurement) {
  Statement select(connection,
                   "SELECT data FROM tensor_digests WHERE measurement_id = ?");
  select.Bind(id);
  if (!select.Step()) return select.status();
  v1::MeasurementTrailer digests;
  absl::Status status = ReadMessage(select, "list of digests", digests);
  if (!status.ok()) return status;
  measurement.mutable_tensors()->Swap(digests.mutable_tensors());
  measurement.mutable_notes()->Swap(digests.mutable_notes());
  measurement.mutable_sinks()->Swap(digests.mutable_sinks());
  measurement.mutable_massive_dimensions()->Swap(
      digests.mutable_massive_dimensions());
  return absl::OkStatus();
}

absl::StatusOr<v1::Measurement> ReadFacts(sqlite3* connection, int64_t id) {
  Statement select(
      connection,
      "SELECT run, series, header, content_digest, committed, implausible, "
      "implausible_reason, load_seconds, compute_seconds FROM measurement "
      "WHERE id = ?");
  select.Bind(id);
  if (!select.Step()) {
    if (!select.status().ok()) return select.status();
    return absl::NotFoundError(absl::StrCat("there is no measurement ", id));
  }
  const std::string run = select.Text();
  const std::string series = select.Text();
  v1::Measurement measurement;
  absl::Status status =
      ReadMessage(select, "header", *measurement.mutable_header());
  if (!status.ok()) return status;
  measurement.set_content_digest(select.Text());
  *measurement.mutable_committed() =
      TimeUtil::MicrosecondsToTimestamp(select.Int());
  measurement.set_implausible(select.Int() != 0);
  measurement.set_implausible_reason(select.Text());
  measurement.set_load_seconds(select.Double());
  measurement.set_compute_seconds(select.Double());
  status =
      ReadDescriptors(connection, run, series, *measurement.mutable_header());
  if (!status.ok()) return status;
  return measurement;
}

std::vector<absl::StatusOr<CommitResult>> Store::Commit(
    const std::vector<CommitRequest>& requests) {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
  const absl::Time now = database_->clock();
  sqlite3* const connection = database_->connection;
  std::vector<absl::StatusOr<CommitResult>> results;
  absl::Status status = database_->Transaction([&] {
    for (const CommitRequest& request : requests) {
      results.push_back(CommitOne(connection, request, now));
      const absl::Status& one = results.back().status();
      if (!one.ok() && !IsRefusal(one)) return one;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) {
    return std::vector<absl::StatusOr<CommitResult>>(requests.size(), status);
  }
  for (const auto& result : results) {
    if (result.ok() && *result == CommitResult::kCommitted) {
      database_->revision.fetch_add(1);
    }
  }
  return results;
}

// Bytes are read under the lock, and made into messages, which takes longer,
// without it.
absl::StatusOr<v1::Measurement> Store::GetMeasurement(
    const v1::GetMeasurementRequest& request) {
  std::vector<StoredBlob> blobs;
  StoredSequences sequences;
  const auto read = [&]() -> absl::StatusOr<v1::Measurement> {
    StoreLock lock(database_->mutex);
    sqlite3* const connection = database_->connection;
    const auto id = FindMeasurement(connection, request);
    if (!id.ok()) return id.status();
    auto measurement = ReadFacts(connection, *id);
    if (!measurement.ok()) return measurement;
    auto stored = ReadBlobs(connection, *id);
    if (!stored.ok()) return stored.status();
    blobs = *std::move(stored);
    auto by_sequence = ReadSequenceBlobs(connection, *id);
    if (!by_sequence.ok()) return by_sequence.status();
    sequences = *std::move(by_sequence);
    absl::Status status = ReadTensors(connection, *id, *measurement);
    if (!status.ok()) return status;
    return measurement;
  };
  auto measurement = read();
  for (const StoredBlob& blob : blobs) {
    if (!measurement.ok()) return measurement;
    absl::Status status = AddVectors(blob, *measurement);
    if (!status.ok()) return status;
  }
  if (!measurement.ok()) return measurement;
  absl::Status status = AddSequences(sequences, *measurement);
  if (!status.ok()) return status;
  return measurement;
}

}  // namespace sinkwatch::store
