#include "worker/loop/result_sender.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/rpc/status.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::worker {
namespace {

// A commit waits for the server's disk; longer than this is a stalled server.
constexpr std::chrono::minutes kStreamDeadline(30);
constexpr std::chrono::milliseconds kFirstPause(200);
constexpr std::chrono::milliseconds kMaxPause(5000);

bool MayPass(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kCancelled ||
         status.code() == absl::StatusCode::kUnknown;
}

}  // namespace

struct ResultSender::Stream {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriterInterface<v1::MeasurementChunk,
                                                    v1::MeasurementAck>>
      calls;
  bool broken = false;
};

ResultSender::ResultSender(v1::WorkerService::StubInterface& stub,
                           int64_t job_id, int64_t token)
    : stub_(stub), job_id_(job_id), token_(token) {}

ResultSender::~ResultSender() {
  if (stream_ == nullptr) return;
  stream_->context.TryCancel();
  stream_->calls->Finish();
}

void ResultSender::SendHeader(const v1::MeasurementHeader& header) {
  v1::MeasurementChunk chunk;
  chunk.mutable_begin()->set_job_id(job_id_);
  chunk.mutable_begin()->set_token(token_);
  *chunk.mutable_begin()->mutable_header() = header;
  Send(std::move(chunk));
}

void ResultSender::SendLayer(v1::MeasurementChunk::Layer layer) {
  counts_.set_chunks(counts_.chunks() + 1);
  counts_.set_vectors(counts_.vectors() + layer.vectors_size());
  for (const v1::MetricVector& vector : layer.vectors()) {
    counts_.set_values(counts_.values() + vector.values_size());
  }
  v1::MeasurementChunk chunk;
  *chunk.mutable_layer() = std::move(layer);
  Send(std::move(chunk));
}

void ResultSender::Send(v1::MeasurementChunk chunk) {
  WriteToStream(chunk);
  sent_.push_back(std::move(chunk));
}

void ResultSender::WriteToStream(const v1::MeasurementChunk& chunk) {
  if (stream_ == nullptr) {
    stream_ = std::make_unique<Stream>();
    stream_->context.set_deadline(std::chrono::system_clock::now() +
                                  kStreamDeadline);
    stream_->calls = stub_.StreamMeasurement(&stream_->context);
  }
  if (!stream_->broken) stream_->broken = !stream_->calls->Write(chunk);
}

absl::Status ResultSender::Commit(v1::MeasurementTrailer trailer,
                                  const std::function<bool()>& give_up) {
  trailer.set_chunks(counts_.chunks());
  trailer.set_vectors(counts_.vectors());
  trailer.set_values(counts_.values());
  v1::MeasurementChunk chunk;
  *chunk.mutable_end() = std::move(trailer);
  Send(std::move(chunk));

  std::chrono::milliseconds pause = kFirstPause;
  absl::Status status = AwaitCommit();
  while (MayPass(status) && !give_up()) {
    spdlog::warn("result not acknowledged, sending again job={} error=\"{}\"",
                 job_id_, status.ToString());
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kMaxPause);
    status = SendAllAgain();
  }
  return status;
}

absl::Status ResultSender::SendAllAgain() {
  for (const v1::MeasurementChunk& chunk : sent_) WriteToStream(chunk);
  return AwaitCommit();
}

absl::Status ResultSender::AwaitCommit() {
  stream_->calls->WritesDone();
  v1::MeasurementAck ack;
  bool committed = false;
  while (stream_->calls->Read(&ack)) committed |= ack.committed();
  const grpc::Status end = stream_->calls->Finish();
  stream_.reset();
  if (committed) return absl::OkStatus();
  if (end.ok()) {
    return absl::InternalError(
        absl::StrCat("the server ended the stream of job ", job_id_,
                     " without committing or refusing it"));
  }
  return rpc::FromGrpc(end);
}

}  // namespace sinkwatch::worker
