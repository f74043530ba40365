#ifndef SINKWATCH_SERVER_SERVICE_MEASUREMENT_ASSEMBLER_H_
#define SINKWATCH_SERVER_SERVICE_MEASUREMENT_ASSEMBLER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/service/coverage.h"
#include "server/store/store.h"
#include "sinkwatch/v1/worker_service.pb.h"

namespace sinkwatch::service {

// Puts a stream of chunks together to one measurement, and trusts none of it:
// begin comes first and once, each metric is described once, texts are bounded,
// every vector belongs to a metric that the header describes and has as many
// values as its scope says, no vector comes twice, values are finite (model
// scope excepted: a loss may be what it is; and NaN, of a head that was not
// measured, where the descriptor says that the metric is sparse), standard
// errors are NaN or finite and not negative, counts are not negative, values of
// sequences are NaN or finite, equally many for each value and only of metrics
// that say by_sequence, massive dimensions are of layers and domains that there
// are, the trailer's counts are what came, and that is all that the header
// promises, but for what the trailer says is absent (coverage.h: which metrics
// apply is the worker's to know). Errors are INVALID_ARGUMENT and say what is
// wrong; RESOURCE_EXHAUSTED beyond the caps on vectors and values.
//
// Caps: 2,000,000 vectors, 2^27 values, 2^23 values of sequences (32 MiB: what
// a whole measurement sends back must fit into 64), 65,536 sequences a vector,
// 50,000 sinks and as many massive dimensions.
//
// Thread-compatible; does no I/O.
class MeasurementAssembler {
 public:
  absl::Status Add(v1::MeasurementChunk chunk);

  bool complete() const { return complete_; }
  // `layer` parts taken so far.
  int64_t chunks() const { return chunks_; }
  // Job and token of the begin part; 0 before it.
  int64_t job_id() const { return request_.job_id; }
  int64_t token() const { return request_.token; }

  // After complete(): what to commit.
  store::Store::CommitRequest TakeRequest() { return std::move(request_); }

 private:
  absl::Status Begin(v1::MeasurementChunk::Begin begin);
  absl::Status AddLayer(v1::MeasurementChunk::Layer layer);
  absl::Status AddVector(v1::MetricVector vector);
  absl::Status CheckVector(const v1::MetricVector& vector) const;
  absl::Status CheckSequences(const v1::MetricVector& vector) const;
  absl::Status End(const v1::MeasurementTrailer& trailer);

  store::Store::CommitRequest request_;
  std::map<std::string, v1::Scope> scopes_;
  std::set<std::string> sparse_;       // metrics
  std::set<std::string> by_sequence_;  // metrics
  Coverage coverage_;
  int64_t vectors_ = 0;
  bool begun_ = false;
  bool complete_ = false;
  int64_t chunks_ = 0;
  int64_t values_ = 0;
  int64_t sequence_values_ = 0;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_MEASUREMENT_ASSEMBLER_H_
