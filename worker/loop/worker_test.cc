#include "worker/loop/worker.h"

#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "proto/base/version.h"
#include "worker/executor/device_errors.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/loop/scripted_server_testing.h"

namespace sinkwatch::worker {
namespace {

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    WorkerOptions options;
    options.name = "here:1";
    worker_ = std::make_unique<Worker>(*stub_, options);
  }

  v1::Lease LeaseOfRun(absl::Duration ttl = absl::Minutes(1)) const {
    v1::Lease lease = TestLease(ttl);
    v1::Job& job = *lease.mutable_job();
    job.mutable_checkpoint()->set_run("run");
    job.mutable_checkpoint()->set_step(7);
    job.mutable_checkpoint()->set_path(run_.checkpoint());
    job.mutable_probe()->set_path(run_.probe());
    job.set_dtype("float32");
    return lease;
  }

  // Runs the worker until `done` holds of what the server was told.
  void RunUntil(const std::function<bool(const ScriptedServer::Told&)>& done) {
    std::thread thread([this] { worker_->Run(); });
    EXPECT_TRUE(server_.WaitFor(done));
    worker_->Drain();
    thread.join();
  }

  // What the server was told after it offered `lease`, the worker's queue
  // empty again.
  ScriptedServer::Told AfterJob(const v1::Lease& lease) {
    server_.Offer(lease);
    RunUntil([](const auto& told) { return told.asked.size() >= 2; });
    return server_.told();
  }

  executor::TinyRun run_;
  ScriptedServer server_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_ = server_.NewStub();
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, MeasuresALeaseAndCommitsIt) {
  const auto told = AfterJob(LeaseOfRun());
  EXPECT_EQ(told.asked[0].worker(), "here:1");
  EXPECT_EQ(told.asked[0].spec_version(), base::kSpecVersion);
  EXPECT_EQ(told.asked[0].device(), "cpu");
  EXPECT_TRUE(told.failed.empty());
  EXPECT_TRUE(told.released.empty());
  ASSERT_EQ(told.streams.size(), 1u);
  // Header, embedding, two layers, model, trailer.
  const auto& chunks = told.streams[0];
  ASSERT_EQ(chunks.size(), 6u);
  const v1::MeasurementHeader& header = chunks[0].begin().header();
  EXPECT_EQ(header.checkpoint().step(), 7);
  EXPECT_EQ(header.probe().name(), "tiny");
  EXPECT_EQ(header.model().kv_heads(), 2);
  EXPECT_EQ(header.dtype(), "float32");
  EXPECT_EQ(header.sequence_length(), executor::kTinyTokens);
  EXPECT_EQ(chunks[1].layer().vectors(0).layer(), -1);
  EXPECT_EQ(chunks[3].layer().vectors(0).layer(), 1);
  EXPECT_FALSE(chunks[4].layer().vectors(0).has_layer());
  EXPECT_EQ(chunks[5].end().chunks(), 4);
  const v1::MeasurementTrailer& end = chunks[5].end();
  EXPECT_EQ(end.content_digest().size(), 32u);
  // All but the embedding, of which some rows are read.
  EXPECT_EQ(end.tensors_size(), static_cast<int>(run_.weights().size()) - 1);
  EXPECT_EQ(end.tensors(0).digest().size(), 16u);
  EXPECT_GT(end.load_seconds() + end.compute_seconds(), 0);
}

TEST_F(WorkerTest, AblatesTheHeadsOfTheLease) {
  v1::Lease lease = LeaseOfRun();
  lease.mutable_job()->mutable_ablation()->set_heads("1.2");
  lease.mutable_job()->mutable_ablation()->add_modes("zero");
  const auto told = AfterJob(lease);
  ASSERT_EQ(told.streams.size(), 1u);
  const auto& chunks = told.streams[0];
  ASSERT_EQ(chunks.size(), 7u);  // one more than without
  for (const v1::MetricVector& vector : chunks[5].layer().vectors()) {
    EXPECT_EQ(vector.metric(), "head_ablation_delta_loss_zero");
    EXPECT_EQ(vector.layer(), 1);
    ASSERT_EQ(vector.values_size(), 4);
    for (int head = 0; head < 4; ++head) {
      EXPECT_EQ(std::isfinite(vector.values(head)), head == 2);
    }
  }
  const v1::MetricDescriptor& described =
      *chunks[0].begin().header().metrics().rbegin();
  EXPECT_EQ(described.name(), "head_ablation_delta_loss_zero");
  EXPECT_TRUE(described.sparse());
  EXPECT_TRUE(described.on_request());
  EXPECT_FALSE(described.cost().empty());
  ASSERT_EQ(chunks[6].end().notes_size(), 1);
}

TEST_F(WorkerTest, AnAblationThatCannotBeFailsTheJob) {
  v1::Lease lease = LeaseOfRun();
  lease.mutable_job()->mutable_ablation()->set_heads("5.0");
  const auto told = AfterJob(lease);
  ASSERT_EQ(told.failed.size(), 1u);
  EXPECT_NE(told.failed[0].reason().find("layer 5 has no heads"),
            std::string::npos);
}

TEST_F(WorkerTest, EveryVectorIsDescribedInTheHeader) {
  v1::Lease lease = LeaseOfRun();
  lease.mutable_job()->add_metrics("sink_attention");
  lease.mutable_job()->mutable_ablation()->set_heads("0.1,layers");
  const auto told = AfterJob(lease);
  ASSERT_EQ(told.streams.size(), 1u);
  std::set<std::string> described;
  for (const auto& metric : told.streams[0][0].begin().header().metrics()) {
    described.insert(metric.name());
  }
  for (const v1::MeasurementChunk& chunk : told.streams[0]) {
    for (const v1::MetricVector& vector : chunk.layer().vectors()) {
      EXPECT_EQ(described.count(vector.metric()), 1u) << vector.metric();
    }
  }
}

TEST_F(WorkerTest, BrokenStreamIsSentAgain) {
  server_.NextStreams({StreamEnd::kBreak});
  const auto told = AfterJob(LeaseOfRun());
  ASSERT_EQ(told.streams.size(), 2u);
  EXPECT_EQ(told.streams[1].size(), 6u);
  EXPECT_TRUE(told.failed.empty());
}

TEST_F(WorkerTest, VanishedCheckpointIsReportedAndTheNextJobIsTaken) {
  v1::Lease gone = LeaseOfRun();
  gone.mutable_job()->mutable_checkpoint()->set_path(run_.file("run/step9"));
  server_.Offer(gone);
  server_.Offer(LeaseOfRun());
  RunUntil([](const auto& told) { return told.asked.size() >= 3; });
  const auto told = server_.told();
  ASSERT_EQ(told.failed.size(), 1u);
  EXPECT_EQ(told.failed[0].outcome(), v1::OUTCOME_VANISHED);
  EXPECT_EQ(told.failed[0].job_id(), 7);
  EXPECT_EQ(told.failed[0].token(), 3);
  EXPECT_NE(told.failed[0].reason().find("step9"), std::string::npos);
  EXPECT_EQ(told.streams.size(), 1u);
}

// The checkpoint is not at fault: the job goes back and costs no attempt.
TEST_F(WorkerTest, ChangedProbeIsHandedBack) {
  v1::Lease lease = LeaseOfRun();
  lease.mutable_job()->mutable_probe()->set_digest("0123");
  const auto told = AfterJob(lease);
  ASSERT_EQ(told.failed.size(), 1u);
  EXPECT_EQ(told.failed[0].outcome(), v1::OUTCOME_RELEASED);
  EXPECT_NE(told.failed[0].reason().find("0123"), std::string::npos);
}

TEST_F(WorkerTest, UnknownDtypeIsReportedAsUnsupported) {
  v1::Lease lease = LeaseOfRun();
  lease.mutable_job()->set_dtype("float8");
  const auto told = AfterJob(lease);
  ASSERT_EQ(told.failed.size(), 1u);
  EXPECT_EQ(told.failed[0].outcome(), v1::OUTCOME_UNSUPPORTED);
  EXPECT_NE(told.failed[0].reason().find("\"float8\""), std::string::npos);
  EXPECT_TRUE(told.streams.empty());
}

// Every job would fail by the device, none of them by its own fault.
TEST_F(WorkerTest, ALostDeviceHandsTheJobBackAndEndsTheWorker) {
  WorkerOptions options;
  options.name = "here:1";
  Worker worker(*stub_, options, [](const auto&, const auto&) {
    absl::Status lost = absl::UnavailableError("cuda:0 does not compute");
    executor::MarkDeviceLost(lost);
    return absl::StatusOr<MeasureSummary>(lost);
  });
  server_.Offer(LeaseOfRun());
  server_.Offer(LeaseOfRun());
  worker.Run();
  EXPECT_TRUE(worker.device_lost());
  const auto told = server_.told();
  EXPECT_EQ(told.asked.size(), 1u);
  EXPECT_EQ(told.released.size(), 1u);
  EXPECT_TRUE(told.failed.empty());
}

TEST_F(WorkerTest, LeaseLostWhileSendingIsDroppedWithoutAWord) {
  server_.NextStreams({StreamEnd::kAbort});
  const auto told = AfterJob(LeaseOfRun());
  EXPECT_EQ(told.streams.size(), 1u);
  EXPECT_TRUE(told.failed.empty());
  EXPECT_TRUE(told.released.empty());
}

TEST_F(WorkerTest, DrainWhileMeasuringHandsTheLeaseBack) {
  server_.OnLease([this] { worker_->Drain(); });
  server_.Offer(LeaseOfRun());
  worker_->Run();
  const auto told = server_.told();
  ASSERT_EQ(told.released.size(), 1u);
  EXPECT_EQ(told.released[0].job_id(), 7);
  EXPECT_EQ(told.released[0].token(), 3);
  EXPECT_TRUE(told.failed.empty());
}

TEST_F(WorkerTest, DrainWhileSendingFinishesTheJob) {
  server_.OnTrailer([this] { worker_->Drain(); });
  server_.Offer(LeaseOfRun());
  worker_->Run();
  const auto told = server_.told();
  EXPECT_EQ(told.streams.size(), 1u);
  EXPECT_TRUE(told.released.empty());
  EXPECT_TRUE(told.failed.empty());
}

TEST_F(WorkerTest, ServerAwayIsWaitedFor) {
  server_.Stop();
  std::thread thread([this] { worker_->Run(); });
  server_.Offer(LeaseOfRun());
  server_.Start();
  EXPECT_TRUE(server_.WaitFor(
      [](const auto& told) { return told.streams.size() == 1; }));
  worker_->Drain();
  thread.join();
}

TEST_F(WorkerTest, EndsWhenItHasBeenIdleForSoLong) {
  WorkerOptions options;
  options.exit_when_idle = absl::Milliseconds(1);
  Worker worker(*stub_, options);
  worker.Run();
  EXPECT_GE(server_.told().asked.size(), 1u);
}

}  // namespace
}  // namespace sinkwatch::worker
