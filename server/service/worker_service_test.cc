#include "server/service/worker_service.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/service/service_testing.h"

namespace sinkwatch::service {
namespace {

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

}  // namespace
}  // namespace sinkwatch::service
