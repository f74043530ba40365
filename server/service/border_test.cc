// What is too much, what throws, who has gone: the services refuse and go on.
#include <atomic>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/create_channel.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "proto/base/mutex.h"
#include "proto/base/temp_folder_testing.h"
#include "proto/rpc/channel.h"
#include "server/service/analysis_service.h"
#include "server/service/query_service.h"
#include "server/service/worker_service.h"
#include "server/store/store_testing.h"

namespace sinkwatch::service {
namespace {

class BorderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store::StoreOptions options;
    options.path = folder_ / "sinkwatch.db";
    store_ = *store::Store::Open(options);
    commits_ = std::make_unique<store::CommitQueue>(
        store_.get(), store::CommitQueueOptions());
    scheduler_ = std::make_unique<scheduler::Scheduler>(
        store_.get(), scheduler::SchedulerOptions());
    queries_ = std::make_unique<query::Queries>(
        store_.get(), [this](const std::string&) { return Ask(); });
    analyses_ = std::make_unique<query::Analyses>(queries_.get());
    v1::RunConfig run;
    run.set_name("toy");
    ASSERT_TRUE(store_->PutRun(run).ok());
  }

  void Start(const CallLimits& limits = {}, int64_t max_stream_bytes = 1 << 20,
             std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    worker_service_ =
        std::make_unique<WorkerServiceImpl>(WorkerServiceImpl::Parts{
            store_.get(), commits_.get(), scheduler_.get(), &feed_, &metrics_,
            store::LeaseLimits(), limits, max_stream_bytes, patience});
    query_service_ = std::make_unique<QueryServiceImpl>(
        QueryServiceImpl::Parts{queries_.get(), &feed_, &metrics_, limits});
    analysis_service_ =
        std::make_unique<AnalysisServiceImpl>(AnalysisServiceImpl::Parts{
            analyses_.get(), /*references=*/nullptr, &metrics_, limits});
    grpc::ServerBuilder builder;
    rpc::SetServerLimits(builder);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(worker_service_.get());
    builder.RegisterService(query_service_.get());
    builder.RegisterService(analysis_service_.get());
    server_ = builder.BuildAndStart();
    const auto channel =
        rpc::CreateChannel("127.0.0.1:" + std::to_string(port));
    worker_ = v1::WorkerService::NewStub(channel);
    query_ = v1::QueryService::NewStub(channel);
    analysis_ = v1::AnalysisService::NewStub(channel);
  }

  void TearDown() override {
    if (server_ == nullptr) return;
    server_->Shutdown();
    server_->Wait();
    commits_->Stop();
  }

  void OnQuestion(std::function<std::string()> body) {
    base::MutexLock lock(mutex_);
    on_question_ = std::move(body);
  }
  std::string Ask() {
    std::function<std::string()> body;
    {
      base::MutexLock lock(mutex_);
      body = on_question_;
    }
    return body();
  }

  grpc::Status ListRuns() {
    grpc::ClientContext context;
    v1::ListRunsResponse response;
    return query_->ListRuns(&context, {}, &response);
  }

  grpc::Status Summarize(const std::string& run = "toy") {
    grpc::ClientContext context;
    v1::SummarizeRequest request;
    request.set_run(run);
    v1::SummarizeResponse response;
    return analysis_->Summarize(&context, request, &response);
  }

  store::JobRecord LeaseStep(int64_t step) {
    EXPECT_TRUE(store_->Observe({store::Seen(step)}).ok());
    return store_->Lease(store::JobOfStep(*store_, step), "w", {}, 100).value();
  }

  // The stream of a result of which the first part was sent.
  using Stream =
      grpc::ClientReaderWriter<v1::MeasurementChunk, v1::MeasurementAck>;
  std::unique_ptr<Stream> Begun(grpc::ClientContext& context,
                                const store::JobRecord& job) {
    v1::MeasurementChunk chunk;
    v1::MeasurementChunk::Begin& begin = *chunk.mutable_begin();
    begin.set_job_id(job.job.id());
    begin.set_token(job.token);
    v1::ModelInfo& model = *begin.mutable_header()->mutable_model();
    model.set_layers(1);
    model.set_heads(1);
    model.set_kv_heads(1);
    auto stream = worker_->StreamMeasurement(&context);
    EXPECT_TRUE(stream->Write(chunk));
    return stream;
  }

  const base::TempFolder folder_;
  telemetry::ServiceMetrics metrics_{telemetry::ServiceMetrics::Build{}};
  MeasurementFeed feed_{2};
  base::Mutex mutex_;
  // Called within each question about runs.
  std::function<std::string()> on_question_ ABSL_GUARDED_BY(mutex_) = [] {
    return std::string();
  };
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::CommitQueue> commits_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<query::Queries> queries_;
  std::unique_ptr<query::Analyses> analyses_;
  std::unique_ptr<WorkerServiceImpl> worker_service_;
  std::unique_ptr<QueryServiceImpl> query_service_;
  std::unique_ptr<AnalysisServiceImpl> analysis_service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
  std::unique_ptr<v1::QueryService::Stub> query_;
  std::unique_ptr<v1::AnalysisService::Stub> analysis_;
};

TEST_F(BorderTest, AQuestionThatThrowsIsAnError) {
  OnQuestion([]() -> std::string { throw std::bad_alloc(); });
  Start();
  EXPECT_EQ(ListRuns().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  OnQuestion([]() -> std::string { throw 7; });
  EXPECT_EQ(ListRuns().error_code(), grpc::StatusCode::INTERNAL);
  OnQuestion([] { return std::string(); });
  EXPECT_TRUE(ListRuns().ok());
}

TEST_F(BorderTest, AnAnalysisThatThrowsIsAnError) {
  OnQuestion([]() -> std::string { throw std::bad_alloc(); });
  Start();
  EXPECT_EQ(Summarize().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  OnQuestion([] { return std::string(); });
  EXPECT_EQ(Summarize().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(BorderTest, AWatcherWhoseRunCannotBeReadIsTold) {
  OnQuestion([]() -> std::string { throw std::bad_alloc(); });
  Start();
  grpc::ClientContext context;
  v1::WatchMeasurementsRequest request;
  request.set_run("toy");
  const auto reader = query_->WatchMeasurements(&context, request);
  v1::MeasurementEvent event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(BorderTest, OnlySoManyWatch) {
  Start();
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::MeasurementEvent>>>
      readers;
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(query_->WatchMeasurements(contexts.back().get(), {}));
    readers.back()->WaitForInitialMetadata();
  }
  EXPECT_EQ(readers[2]->Finish().error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (int i : {0, 1}) {
    contexts[i]->TryCancel();
    readers[i]->Finish();
  }
}

// What a listener throws is its own loss.
TEST_F(BorderTest, AnEventReachesTheOthers) {
  int heard = 0;
  ASSERT_TRUE(
      feed_.Add([](const MeasurementFeed::Event&) { throw std::bad_alloc(); })
          .ok());
  ASSERT_TRUE(feed_.Add([&](const MeasurementFeed::Event&) { ++heard; }).ok());
  feed_.Publish(v1::MeasurementEvent());
  EXPECT_EQ(heard, 1);
  EXPECT_EQ(feed_.Add(nullptr).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(BorderTest, ALargeRequestIsRefused) {
  Start();
  grpc::ClientContext context;
  v1::QuerySeriesRequest request;
  request.mutable_selector()->set_run("toy");
  for (int i = 0; i < 1'000'000; ++i) {
    request.mutable_selector()->add_heads(100'000 + i);
  }
  v1::QuerySeriesResponse response;
  EXPECT_EQ(query_->QuerySeries(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(BorderTest, ALargeRequestForAnAnalysisIsRefused) {
  Start();
  EXPECT_EQ(Summarize(std::string(1 << 20, 'x')).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

// One call is under way; those whose clients have gone meanwhile are passed
// over. (The last few may not be known to have gone.)
TEST_F(BorderTest, NobodyAsksForWhoHasGone) {
  std::promise<void> entered, release;
  std::atomic<int> asked{0};
  OnQuestion([&] {
    if (++asked == 1) {
      entered.set_value();
      release.get_future().wait();
    }
    return std::string();
  });
  CallLimits limits;
  limits.threads = 1;
  Start(limits);
  std::thread first([&] { EXPECT_TRUE(ListRuns().ok()); });
  entered.get_future().wait();
  constexpr int kGone = 20;
  for (int i = 0; i < kGone; ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(50));
    v1::ListRunsResponse response;
    EXPECT_EQ(query_->ListRuns(&context, {}, &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  release.set_value();
  first.join();
  EXPECT_TRUE(ListRuns().ok());
  EXPECT_LT(asked, 2 + kGone / 2);
}

TEST_F(BorderTest, MoreThanMayWaitIsRefusedAtOnce) {
  CallLimits limits;
  limits.max_waiting = 0;
  Start(limits);
  EXPECT_EQ(ListRuns().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Summarize().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(BorderTest, AnswersThatNobodyTakesAreBounded) {
  CallLimits limits;
  limits.max_answer_bytes = 0;
  Start(limits);
  EXPECT_EQ(ListRuns().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Summarize().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// A worker that stops in the middle of its result keeps no other one out.
TEST_F(BorderTest, ASilentStreamMakesRoomForOthers) {
  Start({}, /*max_stream_bytes=*/1, std::chrono::milliseconds(0));
  const store::JobRecord first = LeaseStep(1), second = LeaseStep(2);
  grpc::ClientContext silent, refused;
  const auto stopped = Begun(silent, first);
  v1::MeasurementAck ack;
  ASSERT_TRUE(stopped->Read(&ack)) << "it is held now";
  EXPECT_EQ(Begun(refused, second)->Finish().error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(stopped->Read(&ack));
  EXPECT_EQ(stopped->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // There is room once gRPC is done with the call.
  for (bool taken = false; !taken;) {
    grpc::ClientContext context;
    const auto other = Begun(context, second);
    taken = other->Read(&ack);
    context.TryCancel();
    other->Finish();
  }
}

}  // namespace
}  // namespace sinkwatch::service
