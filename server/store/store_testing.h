#ifndef SINKWATCH_SERVER_STORE_STORE_TESTING_H_
#define SINKWATCH_SERVER_STORE_STORE_TESTING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/store/store.h"
#include "sinkwatch/v1/job.pb.h"
#include "sinkwatch/v1/measurement.pb.h"

// What the tests and the benchmark of the store share.
namespace sinkwatch::store {

// A store whose clock stands still until the test moves it.
class TestStore {
 public:
  // ":memory:" or a file.
  explicit TestStore(const std::string& path = ":memory:",
                     int64_t max_pages = 0);

  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  absl::Time now() const { return *now_; }
  void Advance(absl::Duration by) { *now_ += by; }

 private:
  std::unique_ptr<absl::Time> now_;
  std::unique_ptr<Store> store_;
};

// A checkpoint of run "toy" that is ready to be measured.
Observation Seen(int64_t step, const std::string& fingerprint = "first",
                 v1::JobState state = v1::JOB_STATE_QUEUED);

struct Shape {
  int layers = 2;
  int heads = 3;
  int metrics = 1;  // "metric0", ...
  int domains = 1;  // "domain0", ...
};

// A measurement of head-scope metrics; each value tells its place:
// base + layer * 10 + head.
v1::Measurement MeasurementOf(const v1::Job& job, float base,
                              const Shape& shape = {});

// The first 1,000 jobs of a run, in the order of their steps; those in one of
// the states, if any are named.
std::vector<JobRecord> JobsOf(Store& store, const std::string& run = "toy",
                              std::vector<v1::JobState> states = {});

// The id of the only job of a step in a state; 0 if there is none.
int64_t JobOfStep(Store& store, int64_t step,
                  v1::JobState state = v1::JOB_STATE_QUEUED);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_STORE_TESTING_H_
