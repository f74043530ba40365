// Store::Repair: takes out what cannot be read, and queues what has to be
// measured again.
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/check.h"
#include "server/store/database.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

using Kind = FoundDamage::Kind;

absl::Status Delete(sqlite3* connection, const std::string& from,
                    int64_t measurement) {
  return Statement(connection, absl::StrCat("DELETE FROM ", from, " = ?"))
      .Bind(measurement)
      .Run();
}

// A metric's rows of a domain in `table`.
absl::Status DropValues(sqlite3* connection, const char* table,
                        const Store::Damage& damage) {
  return Statement(connection,
                   absl::StrCat("DELETE FROM ", table,
                                " WHERE measurement_id = ? AND metric = ? AND "
                                "domain = ?"))
      .Bind(damage.measurement)
      .Bind(damage.metric)
      .Bind(damage.domain)
      .Run();
}

absl::Status DropMeasurement(sqlite3* connection, int64_t measurement) {
  for (const char* from :
       {"metric_values WHERE measurement_id",
        "sequence_values WHERE measurement_id",
        "tensor_digests WHERE measurement_id", "measurement WHERE id"}) {
    absl::Status status = Delete(connection, from, measurement);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// What was noted of its weights would say that they are those of its successor.
absl::Status DropSketch(sqlite3* connection, int64_t measurement) {
  for (const char* from :
       {"tensor_sketch WHERE measurement_id",
        "same_weights WHERE measurement_id", "same_weights WHERE other_id"}) {
    absl::Status status = Delete(connection, from, measurement);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// The measurement whose repetition brings a definition again: the latest that
// has it.
absl::StatusOr<int64_t> LatestOf(sqlite3* connection,
                                 const FoundDamage& found) {
  Statement select(connection,
                   "SELECT id FROM measurement WHERE run = ? AND series = ? "
                   "ORDER BY id DESC LIMIT 1");
  select.Bind(found.damage.run).Bind(found.series);
  const int64_t id = select.Step() ? select.Int() : 0;
  if (!select.status().ok()) return select.status();
  return id;
}

absl::Status DropDescriptor(sqlite3* connection, const FoundDamage& found) {
  return Statement(connection,
                   "DELETE FROM metric WHERE run = ? AND series = ? AND name = "
                   "?")
      .Bind(found.damage.run)
      .Bind(found.series)
      .Bind(found.damage.metric)
      .Run();
}

// Queues the job of a measurement, which gives its job up: the next result of
// the job is a measurement of its own and takes this one's place. A job of
// other definitions is left alone, because no worker has them.
absl::Status QueueAgain(sqlite3* connection, int64_t measurement,
                        absl::Time now) {
  Statement queue(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_QUEUED,
                   ", attempt = 0, outcome = 0, not_before = 0, progress = 0, "
                   "reason = 'its stored values were damaged', updated = ? "
                   "WHERE state = ",
                   v1::JOB_STATE_DONE,
                   " AND spec_version = ? AND id = (SELECT job_id FROM "
                   "measurement WHERE id = ?)"));
  absl::Status status =
      queue.Bind(now).Bind(int64_t{kSpecVersion}).Bind(measurement).Run();
  if (!status.ok() || sqlite3_changes(connection) == 0) return status;
  return Statement(connection,
                   "UPDATE measurement SET job_id = -job_id WHERE id = ? AND "
                   "job_id > 0")
      .Bind(measurement)
      .Run();
}

// Takes one damage out. Returns the measurement that is to be made again; 0 if
// none is.
absl::StatusOr<int64_t> Mend(sqlite3* connection, const FoundDamage& found,
                             absl::Time now) {
  int64_t measurement = found.damage.measurement;
  if (found.kind == Kind::kDescriptor) {
    const auto latest = LatestOf(connection, found);
    if (!latest.ok()) return latest.status();
    measurement = *latest;
  }
  absl::Status status = QueueAgain(connection, measurement, now);
  if (status.ok()) status = DropSketch(connection, measurement);
  if (!status.ok()) return status;
  switch (found.kind) {
    case Kind::kValues:
      status = DropValues(connection, "metric_values", found.damage);
      break;
    case Kind::kSequences:
      status = DropValues(connection, "sequence_values", found.damage);
      break;
    case Kind::kTensors:
      status = Delete(connection, "tensor_digests WHERE measurement_id",
                      measurement);
      break;
    case Kind::kHeader:
      status = DropMeasurement(connection, measurement);
      break;
    case Kind::kDescriptor:
      status = DropDescriptor(connection, found);
      break;
    case Kind::kRun:
    case Kind::kFile:
      break;
  }
  if (!status.ok()) return status;
  return measurement;
}

const char* Advice(Kind kind) {
  return kind == Kind::kRun
             ? "; `sinkctl update-run` or `remove-run` puts another in its "
               "place"
             : "; the file is damaged: restore the latest backup, or recover "
               "what can be read with `sqlite3 OLD .recover | sqlite3 NEW`";
}

}  // namespace

absl::StatusOr<Store::RepairReport> Store::Repair()
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  sqlite3* const connection = database_->connection;
  RepairReport report;
  std::set<int64_t> again;
  const auto mend = [&](FoundDamage found) {
    absl::Status status;
    if (found.kind == Kind::kRun || found.kind == Kind::kFile) {
      absl::StrAppend(&found.damage.what, Advice(found.kind));
      report.left.push_back(std::move(found.damage));
      return;
    }
    {
      StoreLock lock(database_->mutex);
      status = database_->Transaction([&]() -> absl::Status {
        const auto made = Mend(connection, found, database_->clock());
        if (made.ok() && *made > 0) again.insert(*made);
        return made.status();
      });
    }
    if (!status.ok()) {
      absl::StrAppend(&found.damage.what, "; it cannot be taken out: ",
                      std::string(status.message()));
      report.left.push_back(std::move(found.damage));
    } else if (report.mended.size() < static_cast<size_t>(kMaxDamage)) {
      report.mended.push_back(std::move(found.damage));
    }
  };
  CheckReport counts;
  absl::Status status = CheckAll(database_->mutex, connection, mend, counts);
  if (!status.ok()) return status;
  report.set_aside = static_cast<int64_t>(again.size());
  if (!again.empty()) database_->revision.fetch_add(1);
  return report;
}

}  // namespace sinkwatch::store
