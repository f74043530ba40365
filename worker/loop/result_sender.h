#ifndef SINKWATCH_WORKER_LOOP_RESULT_SENDER_H_
#define SINKWATCH_WORKER_LOOP_RESULT_SENDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"

namespace sinkwatch::worker {

// Streams one measurement to the server, layer by layer as it is computed, and
// ends only when the server has it on disk. Everything sent is kept (under a
// megabyte for a 7B model), so that a stream that breaks, or an ack that is
// lost with it, is answered by sending the whole again: the server takes a
// measurement once, however often it comes.
//
// Thread-compatible.
class ResultSender {
 public:
  // `stub` must outlive the sender.
  ResultSender(v1::WorkerService::StubInterface& stub, int64_t job_id,
               int64_t token);
  ~ResultSender();

  ResultSender(const ResultSender&) = delete;
  ResultSender& operator=(const ResultSender&) = delete;

  // Call once, first.
  void SendHeader(const v1::MeasurementHeader& header);
  void SendLayer(v1::MeasurementChunk::Layer layer);

  // Sends the trailer (chunks, vectors and values are counted here) and waits
  // for `committed`. OK once the measurement is on disk. ABORTED: the lease was
  // lost. Other refusals come back as they are; a server that cannot be reached
  // is tried again until `give_up` says true, then UNAVAILABLE.
  absl::Status Commit(v1::MeasurementTrailer trailer,
                      const std::function<bool()>& give_up);

 private:
  struct Stream;

  void Send(v1::MeasurementChunk chunk);
  void WriteToStream(const v1::MeasurementChunk& chunk);
  absl::Status SendAllAgain();
  absl::Status AwaitCommit();

  v1::WorkerService::StubInterface& stub_;
  const int64_t job_id_;
  const int64_t token_;
  std::vector<v1::MeasurementChunk> sent_;
  v1::MeasurementTrailer counts_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_RESULT_SENDER_H_
