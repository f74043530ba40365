#ifndef SINKWATCH_SERVER_SERVICE_SERVICE_TESTING_H_
#define SINKWATCH_SERVER_SERVICE_SERVICE_TESTING_H_

#include <atomic>
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

// The services over a real loopback connection and a real store on disk.
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

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_SERVICE_TESTING_H_
