#include "server/store/same_weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "server/store/database.h"
#include "server/store/measurement_rows.h"
#include "server/store/statement.h"
#include "xxhash.h"

namespace sinkwatch::store {
namespace {

// Tensors of a sketch: a shard of a tenth of the tensors is missed once in a
// million.
constexpr size_t kSketch = 128;
// Measurements of a stage that are compared in part, the latest first: 2 MB.
constexpr int64_t kMaxScanned = 2000;
// Others that are written down for one measurement.
constexpr int64_t kMaxIdentical = 100;
constexpr size_t kMaxPartial = 10;
// What so many steps and more than half of them share does not change in
// training (a frozen embedding), and says nothing.
constexpr size_t kMinToCallFrozen = 8;

// Norms and biases stay as they are from one step to the next where training
// is in bfloat16: they prove nothing.
bool IsMatrix(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  for (const char* part : {"norm", "ln_", "bias"}) {
    if (absl::StrContains(lower, part)) return false;
  }
  return true;
}

uint64_t HashOf(const std::string& text) {
  return XXH3_64bits(text.data(), text.size());
}

uint64_t HashOf(const v1::TensorDigest& tensor) {
  return HashOf(tensor.name() + '\0' + tensor.digest());
}

std::map<std::string, std::string> MatricesOf(
    const google::protobuf::RepeatedPtrField<v1::TensorDigest>& tensors) {
  std::map<std::string, std::string> matrices;
  for (const v1::TensorDigest& tensor : tensors) {
    if (IsMatrix(tensor.name())) matrices[tensor.name()] = tensor.digest();
  }
  return matrices;
}

// Hashes of the same few matrices of every measurement, ascending.
std::vector<uint64_t> SketchOf(
    const google::protobuf::RepeatedPtrField<v1::TensorDigest>& tensors) {
  std::vector<std::pair<uint64_t, uint64_t>> by_name;
  for (const v1::TensorDigest& tensor : tensors) {
    if (!IsMatrix(tensor.name())) continue;
    by_name.emplace_back(HashOf(tensor.name()), HashOf(tensor));
  }
  const size_t kept = std::min(by_name.size(), kSketch);
  std::partial_sort(by_name.begin(), by_name.begin() + kept, by_name.end());
  std::vector<uint64_t> sketch;
  for (size_t i = 0; i < kept; ++i) sketch.push_back(by_name[i].second);
  std::sort(sketch.begin(), sketch.end());
  return sketch;
}

std::string Pack(const std::vector<uint64_t>& sketch) {
  return std::string(reinterpret_cast<const char*>(sketch.data()),
                     sketch.size() * sizeof(uint64_t));
}

std::vector<uint64_t> Unpack(const std::string& bytes) {
  std::vector<uint64_t> sketch(bytes.size() / sizeof(uint64_t));
  std::memcpy(sketch.data(), bytes.data(), sketch.size() * sizeof(uint64_t));
  return sketch;
}

absl::Status PutPair(sqlite3* connection, int64_t left, int64_t right,
                     int64_t tensors, int64_t total, bool identical) {
  Statement put(connection,
                "INSERT OR REPLACE INTO same_weights (measurement_id, "
                "other_id, tensors, total, identical) VALUES (?, ?, ?, ?, ?)");
  for (const auto& [from, to] :
       {std::make_pair(left, right), std::make_pair(right, left)}) {
    put.Reset();
    absl::Status status = put.Bind(from)
                              .Bind(to)
                              .Bind(tensors)
                              .Bind(total)
                              .Bind(int64_t{identical})
                              .Run();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status FindIdentical(sqlite3* connection, int64_t id,
                           const v1::Checkpoint& checkpoint,
                           const v1::Measurement& measurement,
                           std::set<int64_t>* identical) {
  if (measurement.content_digest().empty()) return absl::OkStatus();
  Statement select(
      connection,
      "SELECT id FROM measurement WHERE run = ? AND content_digest = ? AND id "
      "<> ? AND NOT (stage = ? AND step = ?) ORDER BY id DESC LIMIT ?");
  select.Bind(checkpoint.run())
      .Bind(measurement.content_digest())
      .Bind(id)
      .Bind(checkpoint.stage())
      .Bind(checkpoint.step())
      .Bind(kMaxIdentical);
  while (select.Step()) identical->insert(select.Int());
  return select.status();
}

// The matrices of a measurement that are those of others of its stage.
class Sharing {
 public:
  Sharing(sqlite3* connection, std::vector<uint64_t> sketch)
      : connection_(connection), sketch_(std::move(sketch)) {}

  absl::Status Scan(int64_t id, const v1::Checkpoint& checkpoint) {
    Statement select(connection_,
                     "SELECT measurement_id, step, data FROM tensor_sketch "
                     "WHERE run = ? AND stage = ? ORDER BY measurement_id DESC "
                     "LIMIT ?");
    select.Bind(checkpoint.run()).Bind(checkpoint.stage()).Bind(kMaxScanned);
    while (select.Step()) {
      const int64_t other = select.Int();
      const bool is_this = other == id || select.Int() == checkpoint.step();
      if (!is_this) Compare(other, Unpack(select.Blob()));
    }
    return select.status();
  }

  bool IsFrozen(uint64_t tensor) const {
    const auto place = seen_in_.find(tensor);
    return scanned_ >= kMinToCallFrozen && place != seen_in_.end() &&
           2 * place->second > scanned_;
  }
  // Whether now is the time to take back what was told of them: once, so that
  // shards that are found beside frozen tensors stay.
  bool JustFoundFrozen() const {
    return scanned_ <= kMinToCallFrozen + 1 &&
           std::any_of(sketch_.begin(), sketch_.end(),
                       [this](uint64_t tensor) { return IsFrozen(tensor); });
  }

  // Others that share what is not frozen, those that share most first.
  std::vector<int64_t> Others() const {
    std::vector<std::pair<int64_t, int64_t>> by_count;
    for (const auto& [other, shared] : shared_) {
      const auto frozen =
          std::count_if(shared.begin(), shared.end(),
                        [this](uint64_t tensor) { return IsFrozen(tensor); });
      const auto count = static_cast<int64_t>(shared.size()) - frozen;
      if (count > 0) by_count.emplace_back(-count, other);
    }
    std::sort(by_count.begin(), by_count.end());
    std::vector<int64_t> others;
    for (const auto& [count, other] : by_count) {
      if (others.size() < kMaxPartial) others.push_back(other);
    }
    return others;
  }

 private:
  void Compare(int64_t other, const std::vector<uint64_t>& sketch) {
    ++scanned_;
    std::vector<uint64_t> shared;
    std::set_intersection(sketch_.begin(), sketch_.end(), sketch.begin(),
                          sketch.end(), std::back_inserter(shared));
    if (shared.empty()) return;
    for (uint64_t tensor : shared) ++seen_in_[tensor];
    shared_[other] = std::move(shared);
  }

  sqlite3* const connection_;
  const std::vector<uint64_t> sketch_;
  size_t scanned_ = 0;
  std::map<uint64_t, size_t> seen_in_;
  std::map<int64_t, std::vector<uint64_t>> shared_;
};

// How many matrices are the same and not frozen, of how many.
absl::StatusOr<std::pair<int64_t, int64_t>> CountSame(
    sqlite3* connection, const v1::Measurement& measurement, int64_t other,
    const Sharing& sharing) {
  v1::Measurement stored;
  absl::Status status = ReadTensors(connection, other, stored);
  if (!status.ok()) return status;
  const auto theirs = MatricesOf(stored.tensors());
  int64_t same = 0, all = 0;
  for (const v1::TensorDigest& tensor : measurement.tensors()) {
    if (!IsMatrix(tensor.name())) continue;
    ++all;
    const auto place = theirs.find(tensor.name());
    if (place != theirs.end() && place->second == tensor.digest() &&
        !sharing.IsFrozen(HashOf(tensor))) {
      ++same;
    }
  }
  return std::make_pair(same, all);
}

absl::Status PutSketch(sqlite3* connection, int64_t id,
                       const v1::Checkpoint& checkpoint,
                       const std::vector<uint64_t>& sketch) {
  Statement insert(connection,
                   "INSERT INTO tensor_sketch (run, stage, measurement_id, "
                   "step, data) VALUES (?, ?, ?, ?, ?)");
  return insert.Bind(checkpoint.run())
      .Bind(checkpoint.stage())
      .Bind(id)
      .Bind(checkpoint.step())
      .BindBlob(Pack(sketch))
      .Run();
}

// What was told before it was known that it never changes.
absl::Status ForgetPartial(sqlite3* connection,
                           const v1::Checkpoint& checkpoint) {
  Statement remove(connection,
                   "DELETE FROM same_weights WHERE identical = 0 AND "
                   "measurement_id IN (SELECT measurement_id FROM "
                   "tensor_sketch WHERE run = ? AND stage = ?)");
  return remove.Bind(checkpoint.run()).Bind(checkpoint.stage()).Run();
}

absl::Status ComparePartly(sqlite3* connection, int64_t id,
                           const v1::Checkpoint& checkpoint,
                           const v1::Measurement& measurement,
                           const std::set<int64_t>& identical) {
  const std::vector<uint64_t> sketch = SketchOf(measurement.tensors());
  if (sketch.empty()) return absl::OkStatus();
  Sharing sharing(connection, sketch);
  absl::Status status = sharing.Scan(id, checkpoint);
  if (status.ok() && sharing.JustFoundFrozen() && identical.empty()) {
    status = ForgetPartial(connection, checkpoint);
  }
  if (status.ok()) status = PutSketch(connection, id, checkpoint, sketch);
  if (!status.ok()) return status;
  for (int64_t other : sharing.Others()) {
    if (identical.count(other) != 0) continue;
    const auto same = CountSame(connection, measurement, other, sharing);
    if (!same.ok()) return same.status();
    // One matrix of many may be one that is not trained.
    if (same->first < 2) continue;
    status = PutPair(connection, id, other, same->first, same->second, false);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompareWeights(sqlite3* connection, int64_t id,
                            const v1::Checkpoint& checkpoint,
                            const v1::Measurement& measurement) {
  std::set<int64_t> identical;
  absl::Status status =
      FindIdentical(connection, id, checkpoint, measurement, &identical);
  for (int64_t other : identical) {
    if (!status.ok()) return status;
    status = PutPair(connection, id, other, measurement.tensors_size(),
                     measurement.tensors_size(), true);
  }
  if (!status.ok()) return status;
  return ComparePartly(connection, id, checkpoint, measurement, identical);
}

absl::Status ReadWeightFacts(sqlite3* connection, int64_t job_id,
                             WeightFacts& facts) {
  Statement count(
      connection,
      "SELECT m.is_current, (SELECT count(*) FROM measurement AS o WHERE o.run "
      "= m.run AND o.stage = m.stage AND o.series = m.series AND o.is_current "
      "IN (0, 1) AND o.step = m.step) FROM measurement AS m WHERE m.job_id = "
      "?");
  count.Bind(job_id);
  if (!count.Step()) return count.status();
  facts.counts = count.Int() != 0;
  facts.measurements = static_cast<int32_t>(count.Int());
  Statement select(
      connection,
      "SELECT o.stage, o.step, s.tensors, s.total, s.identical FROM "
      "measurement AS m JOIN same_weights AS s ON s.measurement_id = m.id JOIN "
      "measurement AS o ON o.id = s.other_id WHERE m.job_id = ? AND "
      "o.is_current = 1 ORDER BY s.identical DESC, o.stage, o.step LIMIT ?");
  select.Bind(job_id).Bind(static_cast<int64_t>(kMaxPartial));
  while (select.Step()) {
    v1::SameWeights& same = facts.same.emplace_back();
    same.set_stage(select.Text());
    same.set_step(select.Int());
    same.set_tensors(select.Int());
    same.set_of(select.Int());
    same.set_identical(select.Int() != 0);
  }
  return select.status();
}

absl::StatusOr<std::vector<int64_t>> Store::StepsOfSameWeights(
    const std::string& run, const std::string& stage) {
  const StoreLock lock(database_->mutex);
  Statement select(
      database_->connection,
      "SELECT DISTINCT m.step FROM measurement AS m JOIN same_weights AS s ON "
      "s.measurement_id = m.id JOIN measurement AS o ON o.id = s.other_id "
      "WHERE m.run = ?1 AND m.stage = ?2 AND m.is_current = 1 AND o.run = ?1 "
      "AND o.stage = ?2 AND o.is_current = 1 ORDER BY m.step");
  select.Bind(run).Bind(stage);
  std::vector<int64_t> steps;
  while (select.Step()) steps.push_back(select.Int());
  if (!select.status().ok()) return select.status();
  return steps;
}

absl::StatusOr<std::map<std::string, int64_t>> Store::CountSameWeights() {
  const StoreLock lock(database_->mutex);
  Statement select(
      database_->connection,
      "SELECT m.run, count(DISTINCT m.id) FROM same_weights AS s JOIN "
      "measurement AS m ON m.id = s.measurement_id JOIN measurement AS o ON "
      "o.id = s.other_id WHERE m.is_current = 1 AND o.is_current = 1 GROUP BY "
      "m.run");
  std::map<std::string, int64_t> counts;
  while (select.Step()) {
    const std::string run = select.Text();
    counts[run] = select.Int();
  }
  if (!select.status().ok()) return select.status();
  return counts;
}

}  // namespace sinkwatch::store
