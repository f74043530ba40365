#include "worker/loop/scripted_server_testing.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "gtest/gtest.h"

namespace sinkwatch::worker {

void ScriptedServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

void ScriptedServer::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_),
                           grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
  ASSERT_NE(port_, 0);
}

std::unique_ptr<v1::WorkerService::Stub> ScriptedServer::NewStub() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 10);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::WorkerService::NewStub(
      grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port_),
                                grpc::InsecureChannelCredentials(), arguments));
}

void ScriptedServer::Offer(const v1::Lease& lease) {
  base::MutexLock lock(mutex_);
  leases_.push_back(lease);
}

void ScriptedServer::NextStreams(std::deque<StreamEnd> ends) {
  base::MutexLock lock(mutex_);
  ends_ = std::move(ends);
}

void ScriptedServer::AnswerRenewals(grpc::StatusCode code) {
  base::MutexLock lock(mutex_);
  renewal_ = code;
}

bool ScriptedServer::WaitFor(
    const std::function<bool(const Told&)>& condition) {
  base::MutexLock lock(mutex_);
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition(told_)) {
    if (!changed_.WaitUntil(mutex_, end)) return condition(told_);
  }
  return true;
}

ScriptedServer::Told ScriptedServer::told() {
  base::MutexLock lock(mutex_);
  return told_;
}

void ScriptedServer::Note(const std::function<void(Told&)>& change) {
  {
    base::MutexLock lock(mutex_);
    change(told_);
  }
  changed_.NotifyAll();
}

grpc::Status ScriptedServer::AcquireLease(
    grpc::ServerContext*, const v1::AcquireLeaseRequest* request,
    v1::AcquireLeaseResponse* response) {
  bool offered = false;
  {
    base::MutexLock lock(mutex_);
    offered = !leases_.empty();
    if (offered) {
      *response->mutable_lease() = leases_.front();
      leases_.pop_front();
    }
  }
  response->mutable_retry_after()->set_nanos(1000000);
  if (offered && on_lease_) on_lease_();
  Note([&](Told& told) { told.asked.push_back(*request); });
  return grpc::Status::OK;
}

grpc::Status ScriptedServer::RenewLease(grpc::ServerContext*,
                                        const v1::RenewLeaseRequest* request,
                                        v1::RenewLeaseResponse*) {
  Note([&](Told& told) { told.renewed.push_back(*request); });
  base::MutexLock lock(mutex_);
  return grpc::Status(renewal_, renewal_ == grpc::StatusCode::OK ? "" : "no");
}

grpc::Status ScriptedServer::StreamMeasurement(
    grpc::ServerContext*,
    grpc::ServerReaderWriter<v1::MeasurementAck, v1::MeasurementChunk>*
        stream) {
  StreamEnd end = StreamEnd::kCommit;
  {
    base::MutexLock lock(mutex_);
    if (!ends_.empty()) {
      end = ends_.front();
      ends_.pop_front();
    }
  }
  std::vector<v1::MeasurementChunk> chunks;
  v1::MeasurementChunk chunk;
  v1::MeasurementAck ack;
  while (stream->Read(&chunk)) {
    chunks.push_back(chunk);
    if (end == StreamEnd::kCutOff) break;
    if (chunk.has_layer()) {
      ack.set_chunks(ack.chunks() + 1);
      stream->Write(ack);
    }
    if (chunk.has_end() && on_trailer_) on_trailer_();
  }
  const bool whole = !chunks.empty() && chunks.back().has_end();
  Note([&](Told& told) { told.streams.push_back(std::move(chunks)); });
  if (end == StreamEnd::kAbort) {
    return grpc::Status(grpc::StatusCode::ABORTED, "token 3 is fenced off");
  }
  if (end == StreamEnd::kSilence) return grpc::Status::OK;
  if (end != StreamEnd::kCommit || !whole) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken off");
  }
  ack.set_committed(true);
  stream->Write(ack);
  return grpc::Status::OK;
}

grpc::Status ScriptedServer::FailJob(grpc::ServerContext*,
                                     const v1::FailJobRequest* request,
                                     v1::FailJobResponse*) {
  Note([&](Told& told) { told.failed.push_back(*request); });
  return grpc::Status::OK;
}

grpc::Status ScriptedServer::ReleaseLease(
    grpc::ServerContext*, const v1::ReleaseLeaseRequest* request,
    v1::ReleaseLeaseResponse*) {
  Note([&](Told& told) { told.released.push_back(*request); });
  return grpc::Status::OK;
}

v1::Lease TestLease(absl::Duration ttl) {
  v1::Lease lease;
  lease.mutable_job()->set_id(7);
  lease.mutable_job()->set_dtype("float32");
  lease.mutable_job()->set_attempt(1);
  lease.set_token(3);
  *lease.mutable_ttl() =
      google::protobuf::util::TimeUtil::MillisecondsToDuration(
          absl::ToInt64Milliseconds(ttl));
  return lease;
}

}  // namespace sinkwatch::worker
