#include "worker/commands/measure_command.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "proto/base/ablation_policy.h"
#include "proto/base/measurement_table.h"
#include "proto/base/measurement_text.h"
#include "proto/base/status_macros.h"
#include "worker/commands/checkpoint_place.h"
#include "worker/commands/output_file.h"
#include "worker/loop/measurement_proto.h"
#include "worker/measure/compute_dtype.h"
#include "worker/measure/device.h"
#include "worker/measure/measure.h"

namespace sinkwatch::worker {
namespace {

namespace fs = std::filesystem;

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kFailedPrecondition:
      return 3;
    case absl::StatusCode::kDataLoss:
      return 4;
    case absl::StatusCode::kUnimplemented:
      return 5;
    case absl::StatusCode::kNotFound:
      return 6;
    default:
      return 1;
  }
}

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "sinkwatch_worker measure: %s\n",
               std::string(status.message()).c_str());
  return ExitCodeOf(status);
}

std::string FormatOf(const base::Arguments& arguments) {
  if (arguments.Has("format")) return arguments.Get("format");
  const bool terminal = !arguments.Has("output") && isatty(STDOUT_FILENO) != 0;
  return terminal ? "table" : "json";
}

absl::StatusOr<MeasureRequest> RequestOf(const base::Arguments& arguments) {
  MeasureRequest request;
  request.checkpoint = arguments.Get("checkpoint");
  // A link to nowhere was there once: that is a checkpoint that has vanished.
  std::error_code error;
  if (!fs::exists(fs::symlink_status(request.checkpoint, error))) {
    return absl::InvalidArgumentError(
        absl::StrCat("no such folder: ", request.checkpoint));
  }
  request.model_config = arguments.Get("model_config");
  request.probe = arguments.Get("probe");
  request.protocol = arguments.Get("protocol");
  const auto device = OpenDevice(arguments.Get("device"));
  // A device that is not there is a usage error here, not "incomplete".
  if (!device.ok()) {
    return absl::InvalidArgumentError(device.status().message());
  }
  request.device = *device;
  const int64_t megabytes = arguments.Int("gpu_memory");
  if (megabytes > 0) {
    RETURN_IF_ERROR(BoundDeviceMemory(*device, megabytes * 1000 * 1000));
  }
  ASSIGN_OR_RETURN(request.dtype, ParseComputeDtype(arguments.Get("dtype")));
  request.metrics = arguments.List("metrics");
  request.tokens_per_batch = arguments.Has("tokens_per_batch")
                                 ? arguments.Int("tokens_per_batch")
                                 : DefaultTokensPerBatch(*device);
  ASSIGN_OR_RETURN(
      request.ablation.policy,
      base::ReadAblationPolicy(arguments.Get("ablate"),
                               arguments.List("ablation_modes"),
                               arguments.Number("ablation_budget")));
  request.ablation.max_bytes = arguments.Int("ablation_megabytes") << 20;
  return request;
}

// A line that is written over on a terminal, a line per tenth elsewhere.
class ProgressLine {
 public:
  void Show(double share) {
    const int tenths = static_cast<int>(share * 10);
    if (!terminal_ && tenths == shown_) return;
    shown_ = tenths;
    std::fprintf(stderr, "%smeasuring %3.0f %%%s", terminal_ ? "\r" : "",
                 100 * share, terminal_ ? "" : "\n");
  }
  ~ProgressLine() {
    if (terminal_ && shown_ >= 0) std::fprintf(stderr, "\n");
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  int shown_ = -1;
};

// The job that a server would have given out for this checkpoint.
v1::Job JobOf(const base::Arguments& arguments) {
  v1::Job job;
  *job.mutable_checkpoint() = PlaceOf(arguments.Get("checkpoint"));
  if (arguments.Has("run")) {
    job.mutable_checkpoint()->set_run(arguments.Get("run"));
  }
  job.mutable_checkpoint()->set_stage(arguments.Get("stage"));
  return job;
}

absl::StatusOr<v1::Measurement> MeasureWithProgress(
    const base::Arguments& arguments, const MeasureRequest& request) {
  v1::Measurement measurement;
  v1::Job job = JobOf(arguments);
  ProgressLine progress;
  MeasureCallbacks callbacks;
  callbacks.on_start = [&](const MeasureFacts& facts) {
    job.mutable_probe()->set_digest(facts.probe_digest);
    *measurement.mutable_header() = HeaderProto(job, facts, "");
    return absl::OkStatus();
  };
  callbacks.on_values = [&](std::vector<metrics::MetricVector> values) {
    const v1::MeasurementChunk::Layer layer = LayerProto(values);
    measurement.mutable_vectors()->MergeFrom(layer.vectors());
    return absl::OkStatus();
  };
  callbacks.on_progress = [&](double share) { progress.Show(share); };
  ASSIGN_OR_RETURN(const MeasureSummary summary, Measure(request, callbacks));
  const v1::MeasurementTrailer trailer = TrailerProto(summary);
  measurement.set_content_digest(trailer.content_digest());
  measurement.set_load_seconds(trailer.load_seconds());
  measurement.set_compute_seconds(trailer.compute_seconds());
  measurement.set_implausible(!trailer.implausible().empty());
  measurement.set_implausible_reason(trailer.implausible());
  *measurement.mutable_tensors() = trailer.tensors();
  *measurement.mutable_notes() = trailer.notes();
  *measurement.mutable_sinks() = trailer.sinks();
  *measurement.mutable_massive_dimensions() = trailer.massive_dimensions();
  return measurement;
}

std::string TextOf(const v1::Measurement& measurement,
                   const std::string& format) {
  if (format == "json") return base::MeasurementJson(measurement);
  if (format == "csv") return base::MeasurementCsv(measurement);
  return base::MeasurementTable(measurement);
}

absl::Status MeasureAndWrite(const base::Arguments& arguments) {
  ASSIGN_OR_RETURN(const MeasureRequest request, RequestOf(arguments));
  ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> output,
                   OutputFile::Open(arguments.Get("output")));
  ASSIGN_OR_RETURN(const v1::Measurement measurement,
                   MeasureWithProgress(arguments, request));
  if (measurement.implausible()) {
    std::fprintf(stderr, "sinkwatch_worker measure: IMPLAUSIBLE: %s\n",
                 measurement.implausible_reason().c_str());
  }
  return output->Write(TextOf(measurement, FormatOf(arguments)));
}

}  // namespace

int RunMeasureCommand(const base::Arguments& arguments) {
  UseThreads(static_cast<int>(arguments.Int("threads")));
  const absl::Status status = MeasureAndWrite(arguments);
  return status.ok() ? 0 : Complain(status);
}

}  // namespace sinkwatch::worker
