#ifndef SINKWATCH_WORKER_LOOP_SCRIPTED_SERVER_TESTING_H_
#define SINKWATCH_WORKER_LOOP_SCRIPTED_SERVER_TESTING_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/base/mutex.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"

namespace sinkwatch::worker {

// What the server does with a stream once it has the trailer.
enum class StreamEnd {
  kCommit,
  kBreak,    // UNAVAILABLE, without a word on what was stored
  kCutOff,   // the same at the first chunk
  kAbort,    // the lease is somebody else's
  kSilence,  // OK, without an ack
};

// A gRPC server on a loopback port whose answers a test has written down, and
// which keeps all it was told. The tests' worker reaches it through real
// channels.
class ScriptedServer final : public v1::WorkerService::Service {
 public:
  struct Told {
    std::vector<v1::AcquireLeaseRequest> asked;
    std::vector<v1::RenewLeaseRequest> renewed;
    std::vector<v1::FailJobRequest> failed;
    std::vector<v1::ReleaseLeaseRequest> released;
    // Chunks by stream; filled in when the stream has ended.
    std::vector<std::vector<v1::MeasurementChunk>> streams;
  };

  ScriptedServer() { Start(); }
  ~ScriptedServer() override { Stop(); }

  // Ends at once; Start comes back under the same address.
  void Stop();
  void Start();
  std::unique_ptr<v1::WorkerService::Stub> NewStub() const;

  // Script. Streams beyond it are committed.
  void Offer(const v1::Lease& lease);
  void NextStreams(std::deque<StreamEnd> ends);
  void AnswerRenewals(grpc::StatusCode code);
  // Called before a lease is handed out, and when a trailer has come.
  void OnLease(std::function<void()> hook) { on_lease_ = std::move(hook); }
  void OnTrailer(std::function<void()> hook) { on_trailer_ = std::move(hook); }

  // Waits until `condition` holds; false after a minute.
  bool WaitFor(const std::function<bool(const Told&)>& condition);
  Told told();

 private:
  grpc::Status AcquireLease(grpc::ServerContext*,
                            const v1::AcquireLeaseRequest* request,
                            v1::AcquireLeaseResponse* response) override;
  grpc::Status RenewLease(grpc::ServerContext*,
                          const v1::RenewLeaseRequest* request,
                          v1::RenewLeaseResponse*) override;
  grpc::Status StreamMeasurement(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::MeasurementAck, v1::MeasurementChunk>*
          stream) override;
  grpc::Status FailJob(grpc::ServerContext*, const v1::FailJobRequest* request,
                       v1::FailJobResponse*) override;
  grpc::Status ReleaseLease(grpc::ServerContext*,
                            const v1::ReleaseLeaseRequest* request,
                            v1::ReleaseLeaseResponse*) override;
  void Note(const std::function<void(Told&)>& change);

  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::function<void()> on_lease_;
  std::function<void()> on_trailer_;

  base::Mutex mutex_;
  base::CondVar changed_;
  Told told_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::Lease> leases_ ABSL_GUARDED_BY(mutex_);
  std::deque<StreamEnd> ends_ ABSL_GUARDED_BY(mutex_);
  grpc::StatusCode renewal_ ABSL_GUARDED_BY(mutex_) = grpc::StatusCode::OK;
};

// A lease of job 7 under token 3.
v1::Lease TestLease(absl::Duration ttl);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_SCRIPTED_SERVER_TESTING_H_
