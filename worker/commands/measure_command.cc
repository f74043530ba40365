#include "worker/commands/measure_command.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "worker/commands/flags.h"
#include "worker/commands/measurement_report.h"
#include "worker/measure/compute_dtype.h"
#include "worker/measure/device.h"
#include "worker/measure/measure.h"

ABSL_FLAG(std::string, checkpoint, "",
          "measure: folder of the checkpoint, as --checkpoint=run/step1000, or "
          "a .bin file of llama2.c");
ABSL_FLAG(std::string, model_config, "",
          "measure: file with the model's config (config.json of Hugging Face "
          "or OLMo-core, config.yaml, params.json), for a checkpoint that has "
          "none, as --model_config=llama3/config.json");
ABSL_FLAG(std::string, probe, "",
          "measure: folder of the probe (probe.json), as --probe=probes/text");
ABSL_FLAG(std::vector<std::string>, metrics, {},
          "measure: names of metrics, as --metrics=sink_attention,probe_loss; "
          "empty for all");
ABSL_FLAG(
    std::string, format, "",
    "measure: json, csv or table; default table on a terminal, else json");

namespace sinkwatch::worker {
namespace {

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

std::string Dtype() {
  const std::string dtype = absl::GetFlag(FLAGS_dtype);
  return dtype.empty() ? "float32" : dtype;
}

std::string Format() {
  const std::string format = absl::GetFlag(FLAGS_format);
  if (!format.empty()) return format;
  const bool terminal =
      absl::GetFlag(FLAGS_output).empty() && isatty(STDOUT_FILENO) != 0;
  return terminal ? "table" : "json";
}

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_checkpoint).empty()) {
    return absl::InvalidArgumentError("--checkpoint is missing (see --help)");
  }
  if (absl::GetFlag(FLAGS_probe).empty()) {
    return absl::InvalidArgumentError("--probe is missing (see --help)");
  }
  const std::string format = Format();
  if (format != "json" && format != "csv" && format != "table") {
    return absl::InvalidArgumentError(
        absl::StrCat("--format=", format, " is none of json, csv, table"));
  }
  if (absl::GetFlag(FLAGS_tokens_per_batch) < 1) {
    return absl::InvalidArgumentError("--tokens_per_batch must be at least 1");
  }
  return absl::OkStatus();
}

absl::StatusOr<MeasureRequest> RequestFromFlags() {
  absl::Status status = CheckFlags();
  if (!status.ok()) return status;
  auto device = OpenDevice(absl::GetFlag(FLAGS_device));
  if (!device.ok()) {
    // A device that is not there is a usage error here, not "incomplete".
    return absl::InvalidArgumentError(device.status().message());
  }
  const auto dtype = ParseComputeDtype(Dtype());
  if (!dtype.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--dtype=", Dtype(), ": ", dtype.status().message()));
  }
  MeasureRequest request;
  request.checkpoint = absl::GetFlag(FLAGS_checkpoint);
  request.model_config = absl::GetFlag(FLAGS_model_config);
  request.probe = absl::GetFlag(FLAGS_probe);
  request.device = *device;
  request.dtype = *dtype;
  request.metrics = absl::GetFlag(FLAGS_metrics);
  request.tokens_per_batch = absl::GetFlag(FLAGS_tokens_per_batch);
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

absl::StatusOr<Report> MeasureWithProgress(const MeasureRequest& request) {
  Report report;
  report.checkpoint = request.checkpoint;
  ProgressLine progress;
  MeasureCallbacks callbacks;
  callbacks.on_start = [&](const MeasureFacts& facts) {
    report.facts = facts;
    return absl::OkStatus();
  };
  callbacks.on_values = [&](std::vector<metrics::MetricVector> values) {
    for (metrics::MetricVector& vector : values) {
      report.values.push_back(std::move(vector));
    }
    return absl::OkStatus();
  };
  callbacks.on_progress = [&](double share) { progress.Show(share); };
  auto summary = Measure(request, callbacks);
  if (!summary.ok()) return summary.status();
  report.summary = *std::move(summary);
  return report;
}

absl::Status WriteOut(const std::string& text) {
  const std::string path = absl::GetFlag(FLAGS_output);
  if (path.empty()) {
    const size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
    if (written == text.size() && std::fflush(stdout) == 0) {
      return absl::OkStatus();
    }
    return absl::UnavailableError("cannot write to standard output");
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path));
}

}  // namespace

int RunMeasureCommand() {
  UseThreads(absl::GetFlag(FLAGS_threads));
  const auto request = RequestFromFlags();
  if (!request.ok()) return Complain(request.status());
  const auto report = MeasureWithProgress(*request);
  if (!report.ok()) return Complain(report.status());
  const std::string format = Format();
  const absl::Status status =
      WriteOut(format == "json"  ? ReportAsJson(*report)
               : format == "csv" ? ReportAsCsv(*report)
                                 : ReportAsTable(*report));
  return status.ok() ? 0 : Complain(status);
}

}  // namespace sinkwatch::worker
