#ifndef SINKWATCH_SERVER_STORE_STORE_H_
#define SINKWATCH_SERVER_STORE_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/base/version.h"
#include "server/store/clock.h"
#include "server/store/sequence_blob.h"
#include "server/store/series.h"
#include "sinkwatch/v1/checkpoint.pb.h"
#include "sinkwatch/v1/config.pb.h"
#include "sinkwatch/v1/job.pb.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::store {

struct StoreOptions {
  // Database file; ":memory:" keeps everything in memory (tests).
  std::string path;
  Clock clock = SteadyFromNow();
  // Pages of 4 KiB that the file may grow to; 0: as many as the disk takes.
  int64_t max_pages = 0;
  // Length that the log has from the start (database.cc says why). A server's
  // is 8 MiB: twice what lies in it before SQLite brings it into the file.
  int64_t log_bytes = 0;
  // Values that all who read series hold together (cell_budget.h): 200 MB.
  int64_t max_read_cells = 24'000'000;
  // How long who reads one waits for others to let go of theirs.
  absl::Duration read_patience = absl::Seconds(5);
};

// One job and where it stands. A checkpoint that is not complete yet is a job
// in state WAITING.
struct JobRecord {
  v1::Job job;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  int64_t token = 0;  // of the latest lease
  std::string worker;
  double progress = 0;
  absl::Time lease_until = absl::InfinitePast();
  absl::Time not_before = absl::InfinitePast();
  absl::Time updated = absl::InfinitePast();
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
  std::string reason;
};

// What a measurement took, as its worker told.
struct MeasurementCost {
  double load_seconds = 0;
  double compute_seconds = 0;
  std::string device;
};

// What there is to say of the weights of a measurement.
struct WeightFacts {
  // Steps whose weights it has, at most ten.
  std::vector<v1::SameWeights> same;
  // How often its step was measured on its terms, and whether it is the one
  // that counts, the last.
  int32_t measurements = 0;
  bool counts = false;
};

// Where a run comes from: over gRPC, or from the server's configuration, which
// is the whole truth about its own.
enum class RunOrigin { kAdded = 1, kConfigured = 2 };

// The metric definitions that jobs are made for. A worker of another version
// gets no lease.
using base::kSpecVersion;

// What discovery saw of a checkpoint. `state` is WAITING, QUEUED, SKIPPED,
// VANISHED, or DEAD for one of a kind that is not supported, with that outcome.
struct Observation {
  v1::Checkpoint checkpoint;
  std::string model_config;     // as Job has it
  v1::AblationPolicy ablation;  // as well
  std::string protocol;         // as well
  v1::Probe probe;
  int32_t spec_version = kSpecVersion;
  std::string dtype = "float32";
  std::vector<std::string> metrics;
  v1::JobState state = v1::JOB_STATE_WAITING;
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
  std::string reason;
};

struct LeaseLimits {
  absl::Duration ttl = absl::Seconds(60);
  absl::Duration stall = absl::Minutes(10);
};

// How a failed job goes on.
struct FailDecision {
  v1::JobState state = v1::JOB_STATE_DEAD;
  absl::Time not_before = absl::InfinitePast();
  bool costs_attempt = true;
};

enum class CommitResult { kCommitted, kAlreadyCommitted };

// Which values of sequences are wanted: of one metric in one domain and layer
// (none: model scope), of the steps of a run's stage.
struct SequenceQuery {
  std::string run;
  std::string stage;
  std::string metric;
  std::string domain;
  std::optional<int> layer;
  // Both belong to it.
  int64_t first_step = INT64_MIN;
  int64_t last_step = INT64_MAX;
  bool include_implausible = false;
};

// Whether a result of Store::Commit is the refusal of that one request (lease
// lost, no such job, wrong shape), which leaves the others alone. Any other
// error is the whole transaction's.
bool IsRefusal(const absl::Status& status);

// Rows that a page of ListRuns, Checkpoints and ListMetrics has at most;
// who asks for more gets these, and a token for the rest.
inline constexpr int32_t kMaxPage = 1000;

struct PageOptions {
  int32_t size = 100;
  std::string token;  // empty: from the start
};

// Which checkpoints of a run are wanted, in which order: by stage and step, the
// lowest first, or the highest.
struct CheckpointQuery {
  std::string run;
  std::optional<std::string> stage;  // none: all
  std::vector<v1::JobState> states;  // empty: all
  bool newest_first = false;
  PageOptions page;
};

struct CheckpointPage {
  std::vector<JobRecord> jobs;
  // One per job; none where there is no measurement, or one that was committed
  // by a server that did not keep it.
  std::vector<std::optional<MeasurementCost>> costs;
  // One per job; none said of one that is not DONE.
  std::vector<WeightFacts> weights;
  std::string next_page_token;  // empty: there are no more
};

// Everything sinkwatch knows, in one SQLite file: runs, jobs with their leases,
// measurements. Every method is one transaction; what a method reports as
// written is on disk (synchronous=FULL) when it returns. Opens exactly one
// connection, because SQLite before 3.51.3 can corrupt a WAL with two.
//
// Thread-safe; calls are serialised, those of leases and commits before queries
// and discovery (store_mutex.h). Codes: NOT_FOUND, ALREADY_EXISTS,
// INVALID_ARGUMENT (page token), ABORTED (the lease is not the caller's any
// more), FAILED_PRECONDITION, RESOURCE_EXHAUSTED (disk full),
// UNAVAILABLE (I/O error), DATA_LOSS (what is asked for fails its checksum;
// what is damaged costs itself, in lists and series it is left out).
class Store {
 public:
  // FAILED_PRECONDITION, naming the file, if it is not a sinkwatch store, was
  // written by a newer version, or is held by another process. Never falls
  // back to another file or to memory.
  static absl::StatusOr<std::unique_ptr<Store>> Open(StoreOptions options);
  ~Store();

  // The time by which leases, back-offs and stalls are told.
  absl::Time Now() const;

  // --- runs --------------------------------------------------------------
  // Follows the run from now on, in place of the one of its name. Takes any
  // configuration: checking it is the caller's.
  absl::Status PutRun(const v1::RunConfig& run,
                      RunOrigin origin = RunOrigin::kAdded);
  // Keeps the run's measurements; its open jobs end as SKIPPED.
  absl::Status RemoveRun(const std::string& name);
  // Both for many runs: first those that are removed. All of it or nothing.
  absl::Status ReplaceRuns(const std::vector<std::string>& removed,
                           const std::vector<v1::RunConfig>& put,
                           RunOrigin origin);
  // One whose configuration cannot be read has its name only.
  absl::StatusOr<std::vector<v1::RunConfig>> Runs();
  // Names of those that a configuration had, of this process or an earlier one.
  absl::StatusOr<std::vector<std::string>> ConfiguredRuns();

  // --- discovery ---------------------------------------------------------
  // Brings jobs in line with one look at a run's root, in transactions of fifty
  // observations, so that others have their turn; an error leaves what was
  // written before it, and the same observations may be told again. A
  // new key (run, stage, step, fingerprint, probe digest, spec version) makes a
  // job and supersedes what is unfinished of its step (another content, another
  // probe, other metric definitions), or takes its place if that one was
  // WAITING with the same probe and was never leased. A known key that is seen
  // again supersedes the others of its step too, whatever has become of its own
  // job. WAITING <-> QUEUED <->
  // SKIPPED follow the observation; a job that is LEASED, DONE or DEAD stays as
  // it is. A job that its worker found incomplete is QUEUED again, its attempts
  // kept, once its not_before is over; without one it waits for another
  // fingerprint. An observation VANISHED ends QUEUED, WAITING and RETRYING jobs
  // of that step. CANCELLED, and no more of them is taken, where the run was
  // removed meanwhile.
  absl::Status Observe(const std::vector<Observation>& observations);

  // Stage and step of those jobs of a run whose state makes news of what was
  // observed before: LEASED and RETRYING ones, that may end as the policy of
  // steps said meanwhile, VANISHED ones, and those that a worker found
  // incomplete.
  absl::StatusOr<std::vector<v1::Checkpoint>> UnsettledSteps(
      const std::string& run);

  // Which folder each path led to in which checkpoints of a run lie, in words
  // of discovery's: what it knows after a restart. RemoveRun forgets them.
  absl::Status PutFolders(const std::string& run,
                          const std::map<std::string, std::string>& folders);
  absl::StatusOr<std::map<std::string, std::string>> FoldersOf(
      const std::string& run);

  // --- leases ------------------------------------------------------------
  // Runs, ascending, that have a job that may be leased now: QUEUED; RETRYING
  // past not_before, of which 500 at a time become QUEUED again by this; LEASED
  // past lease_until.
  absl::StatusOr<std::vector<std::string>> LeasableRuns();
  // Some of the run's jobs that may be leased now, a few rows: in each stage
  // the highest that is QUEUED up to step `low` and the lowest from step `high`
  // on, so without bounds the ends of what waits; and up to 16 whose lease ran
  // out, the earliest first.
  absl::StatusOr<std::vector<JobRecord>> LeasableAround(
      const std::string& run, int64_t low = INT64_MAX,
      int64_t high = INT64_MIN);
  // Leases a job if it is still leasable: attempt + 1, token + 1. ABORTED if
  // somebody was faster. A job whose attempts are used up becomes DEAD and is
  // FAILED_PRECONDITION.
  absl::StatusOr<JobRecord> Lease(int64_t job_id, const std::string& worker,
                                  const LeaseLimits& limits, int max_attempts);
  // Extends a lease by `limits.ttl` from now on and returns its new end.
  // `ticks` is any number that changes as the worker gets on: it has no unit
  // and is only compared with that of the renewal before. ABORTED if `token` is
  // not the job's current lease, or if ticks have been the same for longer than
  // `limits.stall`; the lease then runs out by itself. `progress` (0..1) is
  // only shown.
  absl::StatusOr<absl::Time> Renew(int64_t job_id, int64_t token,
                                   double progress, int64_t ticks,
                                   const LeaseLimits& limits);
  // The job, if `token` is its current lease; ABORTED if not. A lease that ran
  // out is its holder's until somebody takes the job over.
  absl::StatusOr<JobRecord> CheckLease(int64_t job_id, int64_t token);
  // Ends the lease with `decision`, keeping outcome and reason.
  absl::Status Fail(int64_t job_id, int64_t token, v1::Outcome outcome,
                    const std::string& reason, const FailDecision& decision);
  // Back to QUEUED, the attempt given back.
  absl::Status Release(int64_t job_id, int64_t token);
  // Jobs of a run that are DEAD, or that their worker found incomplete (and, if
  // asked, VANISHED ones) to QUEUED with fresh attempts; `steps` empty means
  // all. A job whose content was rewritten stays. Returns how many.
  absl::StatusOr<int64_t> Requeue(const std::string& run,
                                  const std::vector<int64_t>& steps,
                                  bool include_vanished);
  // The job as it is now, whoever holds its lease.
  absl::StatusOr<JobRecord> GetJob(int64_t job_id);

  // --- measurements ------------------------------------------------------
  struct CommitRequest {
    int64_t job_id = 0;
    int64_t token = 0;
    v1::Measurement measurement;
  };
  // Writes several measurements and their jobs' DONE in one transaction; one
  // result per request, in order. A request of a lost lease is ABORTED and
  // writes nothing; a key that has a measurement already is kAlreadyCommitted
  // and changes nothing; layers of unequal width, values of unequally many
  // sequences, and a metric of another scope than it has in its series, are
  // INVALID_ARGUMENT and write nothing. An error of the whole transaction is
  // every request's.
  std::vector<absl::StatusOr<CommitResult>> Commit(
      const std::vector<CommitRequest>& requests);

  // --- queries -----------------------------------------------------------
  // A run that is followed, and how its jobs stand. NOT_FOUND without a list of
  // the others: RunNames has it. Costs this run only.
  absl::StatusOr<v1::RunStatus> Run(const std::string& name);
  // Names of the runs that are followed, ascending.
  absl::StatusOr<std::vector<std::string>> RunNames();
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const PageOptions& page);
  // A page of the checkpoints of a run, from the index: its cost does not
  // depend on how many there are. Pages of one list have one order.
  absl::StatusOr<CheckpointPage> Checkpoints(const CheckpointQuery& query);
  // How many there are on all pages.
  absl::StatusOr<int64_t> CountCheckpoints(CheckpointQuery query);
  absl::StatusOr<v1::ListMetricsResponse> ListMetrics(
      const v1::ListMetricsRequest& request);
  absl::StatusOr<v1::Measurement> GetMeasurement(
      const v1::GetMeasurementRequest& request);
  // The values of one metric of the series that the run's stage shows: that of
  // its latest commit. Reads in batches, so that others have their turn.
  // NOT_FOUND for a stage without measurements or a metric that it lacks;
  // OUT_OF_RANGE and CANCELLED as SeriesQuery says; RESOURCE_EXHAUSTED where
  // others hold max_read_cells and do not let go of them in time.
  absl::StatusOr<Series> ReadSeries(SeriesQuery query);
  // Holds nothing yet, of max_read_cells: for what is made of series.
  std::shared_ptr<CellBudget::Hold> NewHold();
  // Tells what each sequence gave at those steps of the series that the run's
  // stage shows that have it, ascending; steps whose values cannot be read are
  // left out. In batches, outside the lock. NOT_FOUND for a stage without
  // measurements; CANCELLED as ReadSeries.
  absl::Status ReadSequences(
      SequenceQuery query,
      const std::function<void(int64_t step, const SequenceBlob& values)>&
          tell);
  // The steps of a run's stage that have a measurement, ascending, each once.
  struct MeasuredStep {
    int64_t step = 0;
    bool shown = false;  // in the series that the stage shows
    bool implausible = false;
    std::string reason;  // why it is implausible
  };
  absl::StatusOr<std::vector<MeasuredStep>> MeasuredSteps(
      const std::string& run, const std::string& stage);
  // How the steps of a run's stage were measured, beside the series that the
  // stage shows; ascending. Costs what it finds. NOT_FOUND for a stage without
  // measurements.
  struct MeasuredOtherwise {
    // More than once in that series: the last measurement of each counts.
    std::vector<int64_t> again;
    // Only in other series, on other terms.
    std::vector<int64_t> on_other_terms;
  };
  absl::StatusOr<MeasuredOtherwise> StepsMeasuredOtherwise(
      const std::string& run, const std::string& stage);
  // Steps of a run's stage, ascending, whose measured weights are, wholly or in
  // part, those of another step of the stage.
  absl::StatusOr<std::vector<int64_t>> StepsOfSameWeights(
      const std::string& run, const std::string& stage);
  // Of each run that has some: measurements that count and whose weights are
  // those of another step.
  absl::StatusOr<std::map<std::string, int64_t>> CountSameWeights();
  // Which measurement is the latest plausible one of each followed run and
  // stage, by their names (now plane). Costs look-ups in an index, whatever the
  // number of measurements.
  struct LatestKey {
    int64_t measurement = 0;
    std::string run;
    std::string stage;
    int64_t step = 0;
  };
  absl::StatusOr<std::vector<LatestKey>> LatestKeys();
  // Followed runs whose highest measured step, in some stage, is marked
  // implausible: LatestKeys passes it over.
  absl::StatusOr<std::vector<std::string>> ImplausibleRuns();
  // A measurement without its vectors. NOT_FOUND; DATA_LOSS.
  absl::StatusOr<v1::Measurement> MeasurementFacts(int64_t measurement);
  // Vectors of the named metrics, in that order, without standard errors. What
  // cannot be read costs itself: `damaged` names it and says why.
  struct MetricVectors {
    std::vector<v1::MetricVector> vectors;
    std::vector<std::string> damaged;
  };
  absl::StatusOr<MetricVectors> ReadMetrics(
      int64_t measurement, const std::vector<std::string>& metrics);
  // Number of jobs per run and state.
  struct StateCount {
    std::string run;
    v1::JobState state;
    int64_t count;
  };
  absl::StatusOr<std::vector<StateCount>> CountJobs();
  // Jobs that are leased, of all runs. Costs what they are, whatever else there
  // is.
  absl::StatusOr<int64_t> CountLeased();
  // Rises with every commit; the ETag of HTTP answers.
  int64_t revision() const;

  // --- upkeep ------------------------------------------------------------
  // Whether the store can be written: by writing a page that says what it said
  // before, unless something was written since the last call. The error of the
  // write; costs an fsync.
  absl::Status CheckWritable();
  // Brings the write-ahead log into the file, unless something was written
  // since the last call: what lies in the file alone is then whole.
  absl::Status CheckpointIfIdle();

  // Something stored that cannot be read back, or not used.
  struct Damage {
    std::string run, stage;
    int64_t step = 0;
    int64_t measurement = 0;  // 0: the damage is not in one
    std::string metric, domain;
    std::string what;
  };
  struct CheckReport {
    int64_t measurements = 0;  // that were read, damaged ones included
    int64_t blobs = 0;
    int64_t total_damage = 0;
    std::vector<Damage> damage;  // the first kMaxDamage
  };
  static constexpr int64_t kMaxDamage = 1000;
  // Reads everything back, some megabytes at a time, so that others have their
  // turn. CANCELLED as CancelScope says.
  absl::StatusOr<CheckReport> Check();
  struct RepairReport {
    int64_t set_aside = 0;       // measurements
    std::vector<Damage> mended;  // the first kMaxDamage
    std::vector<Damage> left;    // each says what to do
  };
  // As Check; then takes what is damaged out, each measurement in a transaction
  // of its own, and queues its checkpoint, attempts at 0. What is whole of the
  // measurement is shown until the checkpoint's next one is committed.
  absl::StatusOr<RepairReport> Repair();

  struct BackupReport {
    int64_t bytes = 0;
    std::string sha256;  // hex
    int64_t measurements = 0;
  };
  // Copies the store as it is at one moment into `path`, a few pages at a time,
  // so that others have their turn; reads the copy back (SQLite's integrity
  // check) and only then gives it its name: a file that is there is whole.
  // ALREADY_EXISTS if something has that name; DATA_LOSS if the copy is not
  // sound, because the store is not; CANCELLED; else as writing goes.
  absl::StatusOr<BackupReport> Backup(const std::string& path);
  // What SQLite's integrity check says of the store's file, at most 100 lines;
  // empty if it is sound. Works on a copy beside `scratch`, which it removes.
  absl::StatusOr<std::vector<std::string>> CheckFile(
      const std::string& scratch);

 private:
  struct Database;
  explicit Store(std::unique_ptr<Database> database);
  absl::StatusOr<Series> TryReadSeries(SeriesQuery query);

  std::unique_ptr<Database> database_;
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_STORE_H_
