// The query and admin services, and what all of them share.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/service/service_testing.h"

namespace sinkwatch::service {
namespace {

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

TEST_F(ServiceTest, OnlySoManyStepsAreRequeuedAtOnce) {
  Follow("toy");
  grpc::ClientContext context;
  v1::RequeueJobsRequest request;
  request.set_run("toy");
  for (int step = 0; step <= 10000; ++step) request.add_steps(step);
  v1::RequeueJobsResponse response;
  EXPECT_EQ(admin_->RequeueJobs(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
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
