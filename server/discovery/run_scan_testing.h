#ifndef SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_TESTING_H_
#define SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_TESTING_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/discovery/run_scan.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {

using store::Observation;

inline constexpr double kQuiescence = 2;
inline constexpr double kGrace = 120;

// A run's root in a folder of its own, and looks at it with a clock that the
// test moves.
class RunScanTest : public testing::Test {
 protected:
  RunScanTest() {
    run_ = folder_.MakeRun("toy", "root");
    run_.set_quiescence_seconds(kQuiescence);
    run_.set_grace_seconds(kGrace);
  }

  // A look `seconds` after the last one, by the clock that the scan is given.
  std::vector<Observation> Look(double seconds = 0) {
    if (scan_ == nullptr) scan_ = std::make_unique<RunScan>(run_, known_);
    now_ += absl::Seconds(seconds);
    auto seen = scan_->Look(now_);
    status_ = seen.status();
    return seen.ok() ? *std::move(seen) : std::vector<Observation>();
  }
  Observation LookAtOne(double seconds = 0) {
    const auto seen = Look(seconds);
    EXPECT_EQ(seen.size(), 1u) << status_;
    return seen.empty() ? Observation() : seen[0];
  }
  // The server was away: a new scan that knows what the store tells it.
  void Restart(const Observation& known) {
    store::JobRecord& job = known_.emplace_back();
    *job.job.mutable_checkpoint() = known.checkpoint;
    job.state = known.state;
    job.reason = known.reason;
    scan_ = nullptr;
  }

  // The state and the reason of each step, by "stage:step".
  std::map<std::string, std::string> LookAtAll(double seconds = 0) {
    std::map<std::string, std::string> all;
    for (const Observation& seen : Look(seconds)) {
      all[absl::StrCat(seen.checkpoint.stage(), ":", seen.checkpoint.step())] =
          absl::StrCat(v1::JobState_Name(seen.state).substr(10), " ",
                       seen.reason);
    }
    return all;
  }

  const WatchedFolder folder_;
  v1::RunConfig run_;
  std::vector<store::JobRecord> known_;
  std::unique_ptr<RunScan> scan_;
  absl::Time now_ = absl::Now();
  absl::Status status_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_TESTING_H_
