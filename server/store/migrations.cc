#include "server/store/migrations.h"

namespace sinkwatch::store {
namespace {

// Times are microseconds since the epoch; states and outcomes are the numbers
// of JobState and Outcome.
constexpr char kVersion1[] = R"sql(
CREATE TABLE run (
  name TEXT PRIMARY KEY,
  config BLOB NOT NULL,             -- RunConfig
  followed INTEGER NOT NULL         -- RunOrigin; 0 once it was removed
) WITHOUT ROWID;

CREATE TABLE job (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL, stage TEXT NOT NULL, step INTEGER NOT NULL,
  fingerprint TEXT NOT NULL, probe_digest TEXT NOT NULL,
  spec_version INTEGER NOT NULL,
  tokens INTEGER NOT NULL, path TEXT NOT NULL,
  probe_name TEXT NOT NULL, probe_path TEXT NOT NULL,
  dtype TEXT NOT NULL, metrics TEXT NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 0,
  token INTEGER NOT NULL DEFAULT 0,
  worker TEXT NOT NULL DEFAULT '',
  progress REAL NOT NULL DEFAULT 0,
  ticks INTEGER NOT NULL DEFAULT 0,
  ticked INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL DEFAULT 0,
  updated INTEGER NOT NULL,
  outcome INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  UNIQUE (run, stage, step, fingerprint, probe_digest, spec_version)
);
CREATE INDEX job_by_state ON job (state, run);

CREATE TABLE measurement (
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL UNIQUE REFERENCES job (id),
  run TEXT NOT NULL, stage TEXT NOT NULL, step INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  fingerprint TEXT NOT NULL, probe_digest TEXT NOT NULL,
  -- What must be equal for two measurements to share a series.
  series TEXT NOT NULL,
  header BLOB NOT NULL,             -- MeasurementHeader without descriptors
  content_digest TEXT NOT NULL,
  committed INTEGER NOT NULL,
  implausible INTEGER NOT NULL,
  -- 1 for the newest content of its step in its series.
  is_current INTEGER NOT NULL
);
CREATE INDEX measurement_by_step
  ON measurement (run, stage, series, is_current, step);

CREATE TABLE metric_values (
  measurement_id INTEGER NOT NULL REFERENCES measurement (id),
  domain TEXT NOT NULL, metric TEXT NOT NULL,
  data BLOB NOT NULL                -- value_blob.h
);
CREATE UNIQUE INDEX metric_values_key
  ON metric_values (measurement_id, metric, domain);

-- Definitions, as the worker that computed a value stated them.
CREATE TABLE metric (
  name TEXT NOT NULL, series TEXT NOT NULL, run TEXT NOT NULL,
  place INTEGER NOT NULL, descriptor BLOB NOT NULL,
  PRIMARY KEY (run, series, name)
) WITHOUT ROWID;
)sql";

// A configuration for checkpoints that have none of their own.
constexpr char kVersion2[] = R"sql(
ALTER TABLE job ADD COLUMN model_config TEXT NOT NULL DEFAULT '';
)sql";

// Why a measurement is implausible, in its worker's words.
constexpr char kVersion3[] = R"sql(
ALTER TABLE measurement ADD COLUMN implausible_reason TEXT NOT NULL DEFAULT '';
)sql";

// Questions about one run, and which job comes next, are answered from an index
// in its order. 4 is RETRYING, 3 is LEASED.
constexpr char kVersion4[] = R"sql(
DROP INDEX job_by_state;
CREATE INDEX job_by_state ON job (run, state, stage, step);
CREATE INDEX job_by_step ON job (run, stage, step);
CREATE INDEX job_by_retry ON job (not_before) WHERE state = 4;
CREATE INDEX job_by_expiry ON job (run, lease_until) WHERE state = 3;
DROP INDEX measurement_by_step;
CREATE INDEX measurement_by_step ON measurement
  (run, stage, series, is_current, step, tokens, implausible);
CREATE INDEX measurement_by_stage ON measurement (run, stage);
CREATE INDEX measurement_by_run ON measurement (run, step);
CREATE INDEX measurement_by_commit ON measurement (run, committed);
)sql";

// What a trailer says beside the values; null for what was committed before
// this version. 1 is WAITING, and INCOMPLETE.
constexpr char kVersion5[] = R"sql(
ALTER TABLE measurement ADD COLUMN load_seconds REAL;
ALTER TABLE measurement ADD COLUMN compute_seconds REAL;
ALTER TABLE measurement ADD COLUMN device TEXT;
CREATE TABLE tensor_digests (
  measurement_id INTEGER PRIMARY KEY REFERENCES measurement (id),
  data BLOB NOT NULL                -- MeasurementTrailer: its lists
);
CREATE INDEX job_by_wait ON job (run, stage, step)
  WHERE state = 1 AND outcome = 1;
)sql";

// What the weights of each measurement are, in short, and which measurements
// have the same (same_weights.cc).
constexpr char kVersion6[] = R"sql(
CREATE INDEX measurement_by_content ON measurement (run, content_digest);
CREATE TABLE tensor_sketch (
  run TEXT NOT NULL, stage TEXT NOT NULL,
  measurement_id INTEGER NOT NULL REFERENCES measurement (id),
  step INTEGER NOT NULL,
  data BLOB NOT NULL,               -- hashes, little-endian, ascending
  PRIMARY KEY (run, stage, measurement_id)
) WITHOUT ROWID;
CREATE TABLE same_weights (
  measurement_id INTEGER NOT NULL REFERENCES measurement (id),
  other_id INTEGER NOT NULL REFERENCES measurement (id),
  tensors INTEGER NOT NULL, total INTEGER NOT NULL,
  identical INTEGER NOT NULL,       -- as the digest of the whole says
  PRIMARY KEY (measurement_id, other_id)
) WITHOUT ROWID;
)sql";

// Which folder each path led to in which checkpoints lie: a mount point without
// its mount is another. And when a lease began, or was renewed last: after a
// restart with an earlier clock it has as much time as it had then.
constexpr char kVersion7[] = R"sql(
CREATE TABLE watched_folder (
  run TEXT NOT NULL, path TEXT NOT NULL,
  identity TEXT NOT NULL,           -- of discovery's: "device:inode"
  PRIMARY KEY (run, path)
) WITHOUT ROWID;
ALTER TABLE job ADD COLUMN renewed INTEGER NOT NULL DEFAULT 0;
UPDATE job SET renewed = updated WHERE state = 3;
)sql";

// Which heads are ablated.
constexpr char kVersion8[] = R"sql(
ALTER TABLE job ADD COLUMN ablation BLOB NOT NULL DEFAULT x''; -- AblationPolicy
)sql";

// What each sequence gave, a row per layer, so that a question about some heads
// reads these; and which published protocol a job follows.
constexpr char kVersion9[] = R"sql(
CREATE TABLE sequence_values (
  measurement_id INTEGER NOT NULL REFERENCES measurement (id),
  metric TEXT NOT NULL, domain TEXT NOT NULL,
  layer INTEGER NOT NULL,           -- INT32_MIN: model scope
  data BLOB NOT NULL                -- sequence_blob.h
);
CREATE UNIQUE INDEX sequence_values_key
  ON sequence_values (measurement_id, metric, domain, layer);
ALTER TABLE job ADD COLUMN protocol TEXT NOT NULL DEFAULT '';
)sql";

}  // namespace

const std::vector<std::string>& Migrations() {
  static const auto* const kMigrations = new std::vector<std::string>{
      kVersion1, kVersion2, kVersion3, kVersion4, kVersion5,
      kVersion6, kVersion7, kVersion8, kVersion9};
  return *kMigrations;
}

}  // namespace sinkwatch::store
