// The services over a real loopback connection and a real store on disk.
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/create_channel.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "proto/rpc/channel.h"
#include "server/service/admin_service.h"
#include "server/service/query_service.h"
#include "server/service/worker_service.h"

namespace sinkwatch::service {
namespace {

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store::StoreOptions options;
    options.path = folder_ / "sinkwatch.db";
    options.clock = [this] { return absl::FromUnixSeconds(clock_.load()); };
    store_ = *store::Store::Open(options);
    commits_ = std::make_unique<store::CommitQueue>(
        store_.get(), store::CommitQueueOptions());
    scheduler::SchedulerOptions scheduling;
    scheduling.seed = 1;
    scheduler_ =
        std::make_unique<scheduler::Scheduler>(store_.get(), scheduling);
    runs_ = std::make_unique<RunRegistry>(
        store_.get(), [](const std::vector<v1::RunConfig>&) {});
    ASSERT_TRUE(runs_->Configure({}).ok());
    StartServices();
  }

  void TearDown() override {
    server_->Shutdown();
    server_->Wait();
    commits_->Stop();
  }

  void StartServices() {
    queries_ = std::make_unique<query::Queries>(
        store_.get(), [](const std::string&) { return std::string("away"); });
    worker_service_ = std::make_unique<WorkerServiceImpl>(
        WorkerServiceImpl::Parts{store_.get(), commits_.get(), scheduler_.get(),
                                 &feed_, &metrics_, store::LeaseLimits()});
    query_service_ = std::make_unique<QueryServiceImpl>(
        QueryServiceImpl::Parts{queries_.get(), &feed_, &metrics_});
    admin_service_ = std::make_unique<AdminServiceImpl>(AdminServiceImpl::Parts{
        store_.get(), queries_.get(), runs_.get(), &metrics_,
        [] { return v1::ServerConfig(); },
        [](v1::RunConfig& run, bool) {
          return run.root().empty()
                     ? absl::InvalidArgumentError("root is missing")
                     : absl::OkStatus();
        }});
    grpc::ServerBuilder builder;
    rpc::SetServerLimits(builder);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(worker_service_.get());
    builder.RegisterService(query_service_.get());
    builder.RegisterService(admin_service_.get());
    server_ = builder.BuildAndStart();
    const auto channel =
        rpc::CreateChannel("127.0.0.1:" + std::to_string(port));
    worker_ = v1::WorkerService::NewStub(channel);
    query_ = v1::QueryService::NewStub(channel);
    admin_ = v1::AdminService::NewStub(channel);
  }

  void Queue(int64_t step) {
    store::Observation seen;
    seen.checkpoint.set_run("toy");
    seen.checkpoint.set_step(step);
    seen.checkpoint.set_path("/runs/toy/step" + std::to_string(step));
    seen.checkpoint.set_fingerprint("f" + std::to_string(step));
    seen.probe.set_digest("p");
    seen.state = v1::JOB_STATE_QUEUED;
    ASSERT_TRUE(store_->Observe({seen}).ok());
  }

  void Follow(const std::string& run) {
    v1::RunConfig config;
    config.set_name(run);
    ASSERT_TRUE(store_->PutRun(config).ok());
  }

  v1::Lease Acquire(const std::string& name = "w1") {
    grpc::ClientContext context;
    v1::AcquireLeaseRequest request;
    request.set_worker(name);
    request.set_spec_version(store::kSpecVersion);
    v1::AcquireLeaseResponse response;
    EXPECT_TRUE(worker_->AcquireLease(&context, request, &response).ok());
    return response.lease();
  }

  // The chunks of a measurement with one value.
  std::vector<v1::MeasurementChunk> Chunks(const v1::Lease& lease) {
    std::vector<v1::MeasurementChunk> chunks(3);
    v1::MeasurementChunk::Begin& begin = *chunks[0].mutable_begin();
    begin.set_job_id(lease.job().id());
    begin.set_token(lease.token());
    v1::MeasurementHeader& header = *begin.mutable_header();
    *header.mutable_checkpoint() = lease.job().checkpoint();
    header.mutable_model()->set_layers(1);
    header.mutable_model()->set_heads(1);
    header.mutable_model()->set_kv_heads(1);
    v1::MetricDescriptor& metric = *header.add_metrics();
    metric.set_name("sink_attention");
    metric.set_scope(v1::SCOPE_HEAD);
    v1::MetricVector& vector = *chunks[1].mutable_layer()->add_vectors();
    vector.set_domain("A");
    vector.set_metric("sink_attention");
    vector.set_layer(0);
    vector.add_values(0.25F);
    vector.add_standard_errors(0);
    chunks[2].mutable_end()->set_chunks(1);
    chunks[2].mutable_end()->set_vectors(1);
    chunks[2].mutable_end()->set_values(1);
    return chunks;
  }

  struct Sent {
    grpc::Status status;
    v1::MeasurementAck last;
  };
  Sent Send(const std::vector<v1::MeasurementChunk>& chunks) {
    grpc::ClientContext context;
    auto stream = worker_->StreamMeasurement(&context);
    for (const v1::MeasurementChunk& chunk : chunks) stream->Write(chunk);
    stream->WritesDone();
    Sent sent;
    v1::MeasurementAck ack;
    while (stream->Read(&ack)) sent.last = ack;
    sent.status = stream->Finish();
    return sent;
  }

  // The counter `name` with all of `labels`; -1 if there is none.
  double Counted(const std::string& name,
                 const std::map<std::string, std::string>& labels = {}) {
    for (const auto& family : metrics_.Collect()) {
      if (family.name != name) continue;
      for (const auto& metric : family.metric) {
        std::map<std::string, std::string> left = labels;
        for (const auto& label : metric.label) {
          const auto it = left.find(label.name);
          if (it != left.end() && it->second == label.value) left.erase(it);
        }
        if (!left.empty()) continue;
        return family.type == prometheus::MetricType::Histogram
                   ? metric.histogram.sample_sum
                   : metric.counter.value;
      }
    }
    return -1;
  }

  v1::JobState StateOf(int64_t job) { return store_->GetJob(job)->state; }

  const base::TempFolder folder_;
  std::atomic<int64_t> clock_{3600};  // seconds since the epoch
  telemetry::ServiceMetrics metrics_{telemetry::ServiceMetrics::Build{}};
  MeasurementFeed feed_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::CommitQueue> commits_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<query::Queries> queries_;
  std::unique_ptr<RunRegistry> runs_;
  std::unique_ptr<WorkerServiceImpl> worker_service_;
  std::unique_ptr<QueryServiceImpl> query_service_;
  std::unique_ptr<AdminServiceImpl> admin_service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
  std::unique_ptr<v1::QueryService::Stub> query_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

TEST_F(ServiceTest, ThereIsNoLeaseWithoutAJob) {
  EXPECT_EQ(Acquire().token(), 0);
}

TEST_F(ServiceTest, AMeasurementIsAcknowledgedOnceItIsStored) {
  Queue(5);
  const v1::Lease lease = Acquire();
  EXPECT_EQ(lease.job().checkpoint().step(), 5);
  const Sent sent = Send(Chunks(lease));
  EXPECT_TRUE(sent.status.ok()) << sent.status.error_message();
  EXPECT_TRUE(sent.last.committed());
  EXPECT_FALSE(sent.last.already_committed());
  EXPECT_EQ(StateOf(lease.job().id()), v1::JOB_STATE_DONE);
}

TEST_F(ServiceTest, ARepeatedStreamChangesNothingAndIsTold) {
  Queue(5);
  const v1::Lease lease = Acquire();
  std::vector<v1::MeasurementChunk> chunks = Chunks(lease);
  ASSERT_TRUE(Send(chunks).last.committed());
  chunks[1].mutable_layer()->mutable_vectors(0)->set_values(0, 0.75F);
  const Sent again = Send(chunks);
  EXPECT_TRUE(again.last.committed());
  EXPECT_TRUE(again.last.already_committed());
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(5);
  EXPECT_EQ(store_->GetMeasurement(request)->vectors(0).values(0), 0.25F);
}

TEST_F(ServiceTest, AnExpiredLeaseIsTakenOverAndItsLateResultIsFencedOff) {
  Queue(5);
  const v1::Lease first = Acquire("w1");
  clock_ += 300;
  const v1::Lease second = Acquire("w2");
  ASSERT_EQ(second.job().id(), first.job().id());
  EXPECT_GT(second.token(), first.token());
  EXPECT_EQ(Send(Chunks(first)).status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_TRUE(Send(Chunks(second)).last.committed());
}

TEST_F(ServiceTest, ARenewalOfALostLeaseIsAborted) {
  Queue(5);
  const v1::Lease lease = Acquire();
  v1::RenewLeaseRequest request;
  request.set_job_id(lease.job().id());
  request.set_token(lease.token());
  v1::RenewLeaseResponse response;
  grpc::ClientContext good;
  EXPECT_TRUE(worker_->RenewLease(&good, request, &response).ok());
  request.set_token(lease.token() + 1);
  grpc::ClientContext bad;
  EXPECT_EQ(worker_->RenewLease(&bad, request, &response).error_code(),
            grpc::StatusCode::ABORTED);
  EXPECT_EQ(Counted("sinkwatch_results_fenced_total"), 1);
}

TEST_F(ServiceTest, ARenewalThatCrossesItsOwnCommitIsNotCountedAsFenced) {
  Queue(5);
  const v1::Lease lease = Acquire();
  ASSERT_TRUE(Send(Chunks(lease)).last.committed());
  v1::RenewLeaseRequest request;
  request.set_job_id(lease.job().id());
  request.set_token(lease.token());
  v1::RenewLeaseResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(worker_->RenewLease(&context, request, &response).error_code(),
            grpc::StatusCode::ABORTED);
  EXPECT_EQ(Counted("sinkwatch_results_fenced_total"), 0);
}

TEST_F(ServiceTest, AWorkerOfOtherMetricDefinitionsGetsNoLease) {
  Queue(5);
  for (int version : {0, store::kSpecVersion + 1}) {
    v1::AcquireLeaseRequest request;
    request.set_worker("w1");
    request.set_spec_version(version);
    v1::AcquireLeaseResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        worker_->AcquireLease(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    for (int number : {version, static_cast<int>(store::kSpecVersion)}) {
      EXPECT_NE(status.error_message().find(std::to_string(number)),
                std::string::npos)
          << status.error_message();
    }
    EXPECT_FALSE(response.has_lease());
  }
  EXPECT_EQ(Acquire().job().checkpoint().step(), 5);
}

TEST_F(ServiceTest, AStreamThatEndsEarlyStoresNothing) {
  Queue(5);
  const v1::Lease lease = Acquire();
  std::vector<v1::MeasurementChunk> chunks = Chunks(lease);
  chunks.pop_back();
  const Sent sent = Send(chunks);
  EXPECT_EQ(sent.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_FALSE(sent.last.committed());
  EXPECT_EQ(StateOf(lease.job().id()), v1::JOB_STATE_LEASED);
}

TEST_F(ServiceTest, ACorruptCheckpointIsDeadAtOnceAndCanBeRequeued) {
  Follow("toy");
  Queue(5);
  const v1::Lease lease = Acquire();
  v1::FailJobRequest request;
  request.set_job_id(lease.job().id());
  request.set_token(lease.token());
  request.set_outcome(v1::OUTCOME_CORRUPT);
  request.set_reason("model.safetensors: two tensors overlap");
  v1::FailJobResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(worker_->FailJob(&context, request, &response).ok());
  EXPECT_EQ(response.state(), v1::JOB_STATE_DEAD);
  v1::RequeueJobsRequest requeue;
  requeue.set_run("toy");
  v1::RequeueJobsResponse requeued;
  grpc::ClientContext admin;
  ASSERT_TRUE(admin_->RequeueJobs(&admin, requeue, &requeued).ok());
  EXPECT_EQ(requeued.requeued(), 1);
  EXPECT_EQ(Acquire().job().id(), lease.job().id());
}

TEST_F(ServiceTest, AReleasedJobCostsNoAttempt) {
  Queue(5);
  const v1::Lease lease = Acquire();
  v1::ReleaseLeaseRequest request;
  request.set_job_id(lease.job().id());
  request.set_token(lease.token());
  v1::ReleaseLeaseResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(worker_->ReleaseLease(&context, request, &response).ok());
  EXPECT_EQ(Acquire().job().attempt(), 1);
}

TEST_F(ServiceTest, DrainingGivesOutNoMoreLeasesButTakesResults) {
  Queue(5);
  Queue(6);
  const v1::Lease lease = Acquire();
  worker_service_->Drain();
  EXPECT_EQ(Acquire().token(), 0);
  EXPECT_TRUE(Send(Chunks(lease)).last.committed());
}

// An unsaid stage and domain are the run's only ones, over gRPC as elsewhere.
TEST_F(ServiceTest, AnUnsaidStageAndDomainAreTheOnlyOnes) {
  Follow("toy");
  Queue(5);
  ASSERT_TRUE(Send(Chunks(Acquire())).last.committed());
  v1::QuerySeriesRequest request;
  request.mutable_selector()->set_run("toy");
  request.mutable_selector()->set_metric("sink_attention");
  v1::QuerySeriesResponse series;
  grpc::ClientContext context;
  const grpc::Status status = query_->QuerySeries(&context, request, &series);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(series.domain(), "A");
  ASSERT_EQ(series.values_size(), 1);
  EXPECT_EQ(series.values(0), 0.25F);
}

TEST_F(ServiceTest, NobodyWaitsForAnUnknownRun) {
  Follow("toy");
  grpc::ClientContext context;
  v1::WatchMeasurementsRequest request;
  request.set_run("tony");
  auto stream = query_->WatchMeasurements(&context, request);
  v1::MeasurementEvent event;
  EXPECT_FALSE(stream->Read(&event));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(),
            "there is no run \"tony\"; there are toy; did you mean toy?");
}

TEST_F(ServiceTest, NothingOfAnUnknownRunIsRequeued) {
  grpc::ClientContext context;
  v1::RequeueJobsRequest request;
  request.set_run("nope");
  v1::RequeueJobsResponse response;
  EXPECT_EQ(admin_->RequeueJobs(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServiceTest, AWatcherHearsOfACommit) {
  Follow("toy");
  Queue(5);
  grpc::ClientContext context;
  v1::WatchMeasurementsRequest request;
  request.set_run("toy");
  auto stream = query_->WatchMeasurements(&context, request);
  stream->WaitForInitialMetadata();  // sent once it listens
  const v1::Lease lease = Acquire();
  ASSERT_TRUE(Send(Chunks(lease)).last.committed());
  v1::MeasurementEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(event.checkpoint().step(), 5);
  EXPECT_EQ(event.values(), 1);
  context.TryCancel();
  stream->Finish();
  server_->Shutdown();
  server_->Wait();  // until the call is over here too
  EXPECT_EQ(Counted("grpc_server_handled_total",
                    {{"grpc_method", "WatchMeasurements"}}),
            1);
}

TEST_F(ServiceTest, EveryCallIsCountedWithItsServiceAndTime) {
  grpc::ClientContext context;
  v1::RemoveRunRequest request;
  request.set_name("zzz");
  v1::RemoveRunResponse response;
  EXPECT_FALSE(admin_->RemoveRun(&context, request, &response).ok());
  Acquire();
  EXPECT_EQ(Counted("grpc_server_handled_total",
                    {{"grpc_service", "sinkwatch.v1.AdminService"},
                     {"grpc_method", "RemoveRun"},
                     {"grpc_code", "NotFound"}}),
            1);
  EXPECT_GT(
      Counted("grpc_server_handling_seconds", {{"grpc_method", "RemoveRun"}}),
      0);
  EXPECT_EQ(Counted("grpc_server_handled_total",
                    {{"grpc_service", "sinkwatch.v1.WorkerService"},
                     {"grpc_method", "AcquireLease"},
                     {"grpc_code", "OK"}}),
            1);
}

TEST_F(ServiceTest, RunsAreAddedRemovedAndListedPageByPage) {
  for (const char* name : {"a", "b", "c"}) {
    v1::AddRunRequest request;
    request.mutable_run()->set_name(name);
    request.mutable_run()->set_root("/runs");
    v1::AddRunResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(admin_->AddRun(&context, request, &response).ok());
    grpc::ClientContext again;
    EXPECT_EQ(admin_->AddRun(&again, request, &response).error_code(),
              grpc::StatusCode::ALREADY_EXISTS);
  }
  std::vector<std::string> names;
  v1::ListRunsRequest request;
  request.set_page_size(2);
  do {
    v1::ListRunsResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(query_->ListRuns(&context, request, &response).ok());
    for (const v1::RunStatus& run : response.runs()) {
      names.push_back(run.name());
      EXPECT_EQ(run.discovery_error(), "away");
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
  v1::RemoveRunRequest remove;
  remove.set_name("zzz");
  v1::RemoveRunResponse removed;
  grpc::ClientContext context;
  EXPECT_EQ(admin_->RemoveRun(&context, remove, &removed).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServiceTest, AStreamForAJobThatIsNotLeasedEndsAtItsBegin) {
  Queue(5);
  v1::Lease lease = Acquire();
  lease.set_token(lease.token() + 1);
  grpc::ClientContext context;
  auto stream = worker_->StreamMeasurement(&context);
  ASSERT_TRUE(stream->Write(Chunks(lease)[0]));
  // Nothing more is sent: the answer comes all the same.
  v1::MeasurementAck ack;
  EXPECT_FALSE(stream->Read(&ack));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(ServiceTest, AWatcherHearsOfWhatWasLeasedWhateverTheHeaderSays) {
  Queue(5);
  grpc::ClientContext context;
  v1::WatchMeasurementsRequest request;
  auto watch = query_->WatchMeasurements(&context, request);
  watch->WaitForInitialMetadata();
  std::vector<v1::MeasurementChunk> chunks = Chunks(Acquire());
  v1::Checkpoint& forged =
      *chunks[0].mutable_begin()->mutable_header()->mutable_checkpoint();
  forged.set_run("other");
  forged.set_step(777);
  ASSERT_TRUE(Send(chunks).last.committed());
  v1::MeasurementEvent event;
  ASSERT_TRUE(watch->Read(&event));
  EXPECT_EQ(event.checkpoint().run(), "toy");
  EXPECT_EQ(event.checkpoint().step(), 5);
  context.TryCancel();
  watch->Finish();
}

TEST_F(ServiceTest, ProgressIsAShareWhateverIsSaid) {
  Queue(5);
  const v1::Lease lease = Acquire();
  const struct {
    double said;
    double kept;
  } kTable[] = {{NAN, 0}, {INFINITY, 1}, {-5, 0}, {0.25, 0.25}, {1e300, 1}};
  for (const auto& row : kTable) {
    v1::RenewLeaseRequest request;
    request.set_job_id(lease.job().id());
    request.set_token(lease.token());
    request.set_progress(row.said);
    v1::RenewLeaseResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        worker_->RenewLease(&context, request, &response);
    EXPECT_TRUE(status.ok()) << row.said << ": " << status.error_message();
    EXPECT_EQ(store_->GetJob(lease.job().id())->progress, row.kept);
  }
}

TEST_F(ServiceTest, WordsOfAWorkerAreBounded) {
  Queue(5);
  v1::AcquireLeaseRequest acquire;
  acquire.set_worker(std::string(201, 'w'));
  acquire.set_spec_version(store::kSpecVersion);
  v1::AcquireLeaseResponse leased;
  grpc::ClientContext refused;
  EXPECT_EQ(worker_->AcquireLease(&refused, acquire, &leased).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  const v1::Lease lease = Acquire();
  v1::FailJobRequest request;
  request.set_job_id(lease.job().id());
  request.set_token(lease.token());
  request.set_outcome(v1::OUTCOME_CORRUPT);
  request.set_reason("file: " + std::string(100000, 'x'));
  v1::FailJobResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(worker_->FailJob(&context, request, &response).ok());
  const std::string kept = store_->GetJob(lease.job().id())->reason;
  EXPECT_LT(kept.size(), 4100u);
  EXPECT_EQ(kept.substr(0, 7), "file: x");
  EXPECT_NE(kept.find("(100006 bytes)"), std::string::npos);
}

TEST_F(ServiceTest, RequeueingAnUnknownRunNamesThoseThatThereAre) {
  v1::AddRunRequest add;
  add.mutable_run()->set_name("olmo");
  add.mutable_run()->set_root("/runs/olmo");
  v1::AddRunResponse added;
  grpc::ClientContext adding;
  ASSERT_TRUE(admin_->AddRun(&adding, add, &added).ok());
  v1::RequeueJobsRequest request;
  request.set_run("olm");
  v1::RequeueJobsResponse response;
  grpc::ClientContext context;
  const grpc::Status status = admin_->RequeueJobs(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(status.error_message().find("olmo"), std::string::npos)
      << status.error_message();
}

}  // namespace
}  // namespace sinkwatch::service
