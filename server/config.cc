#include "server/config.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "proto/base/ablation_policy.h"
#include "proto/base/nearest.h"
#include "proto/base/small_file.h"
#include "proto/base/status_macros.h"
#include "server/name_pattern.h"
#include "server/names.h"

namespace sinkwatch::server {
namespace {

constexpr char kGrpcAddress[] = "127.0.0.1:17461";
constexpr char kHttpAddress[] = "127.0.0.1:17460";
constexpr char kDataDir[] = "./sinkwatch-data";
// Of a run: what is kept and told of it again and again.
constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxText = 300;
constexpr int kMaxLabels = 64;
constexpr int kMaxMetrics = 1000;
constexpr int kMaxPerDecade = 1000;
constexpr size_t kMaxConfigMebibytes = 64;

// The first complaint of the text parser, with its place.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(std::string path) : path_(std::move(path)) {}
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    text_ = absl::StrCat(path_, ":", line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  const std::string path_;
  std::string text_;
};

std::string Absolute(const std::string& path) {
  if (path.empty()) return path;
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

// Sets a number that was left at 0.
template <typename Setter, typename Number>
void Default(Number value, Number fallback, Setter set) {
  if (value == 0) set(fallback);
}

void ApplyLeaseDefaults(v1::LeaseConfig& lease) {
  Default(lease.ttl_seconds(), 60.0,
          [&](double v) { lease.set_ttl_seconds(v); });
  Default(lease.max_attempts(), 5, [&](int v) { lease.set_max_attempts(v); });
  Default(lease.backoff_seconds(), 2.0,
          [&](double v) { lease.set_backoff_seconds(v); });
  Default(lease.max_backoff_seconds(), 300.0,
          [&](double v) { lease.set_max_backoff_seconds(v); });
  Default(lease.stall_seconds(), 600.0,
          [&](double v) { lease.set_stall_seconds(v); });
}

void RequirePositive(double value, const std::string& field,
                     std::vector<std::string>& errors) {
  if (std::isfinite(value) && value > 0) return;
  errors.push_back(absl::StrCat(field, " is ", value, " and must be above 0"));
}

void CheckPolicy(const v1::RunConfig& run, const std::string& where,
                 std::vector<std::string>& errors) {
  const v1::StepPolicy& policy = run.steps();
  if (policy.policy_case() == v1::StepPolicy::kLatest && policy.latest() < 1) {
    errors.push_back(absl::StrCat(where, "steps.latest must be at least 1"));
  }
  if (policy.policy_case() == v1::StepPolicy::kPerDecade &&
      (policy.per_decade() < 1 || policy.per_decade() > kMaxPerDecade)) {
    errors.push_back(absl::StrCat(where, "steps.per_decade must be at least 1",
                                  " and at most ", kMaxPerDecade));
  }
  if (policy.policy_case() == v1::StepPolicy::kListed &&
      policy.listed().steps().empty()) {
    errors.push_back(absl::StrCat(where, "steps.listed lists no steps"));
  }
}

// No path of a file system is longer or has a byte of 0.
void CheckRunPaths(const v1::RunConfig& run, const std::string& where,
                   std::vector<std::string>& errors) {
  const std::pair<const char*, const std::string&> paths[] = {
      {"root", run.root()},
      {"probe", run.probe()},
      {"manifest", run.manifest()},
      {"model_config", run.model_config()}};
  for (const auto& [field, path] : paths) {
    if (path.size() >= kMaxPath) {
      errors.push_back(absl::StrCat(where, field, " has ", path.size(),
                                    " bytes, and a path at most ",
                                    kMaxPath - 1));
    } else if (path.find('\0') != std::string::npos) {
      errors.push_back(absl::StrCat(where, field, " has a byte of 0"));
    }
  }
}

void CheckRunTexts(const v1::RunConfig& run, const std::string& where,
                   std::vector<std::string>& errors) {
  if (run.stage().size() > kMaxText) {
    errors.push_back(
        absl::StrCat(where, "stage is longer than ", kMaxText, " bytes"));
  }
  const auto is_long = [](const std::string& text) {
    return text.size() > kMaxText;
  };
  if (run.metrics_size() > kMaxMetrics ||
      std::any_of(run.metrics().begin(), run.metrics().end(), is_long)) {
    errors.push_back(absl::StrCat(where, "metrics are at most ", kMaxMetrics,
                                  " names of at most ", kMaxText, " bytes"));
  }
  const auto is_long_label = [&](const auto& label) {
    return is_long(label.first) || is_long(label.second);
  };
  if (static_cast<int>(run.labels_size()) > kMaxLabels ||
      std::any_of(run.labels().begin(), run.labels().end(), is_long_label)) {
    errors.push_back(absl::StrCat(where, "labels are at most ", kMaxLabels,
                                  " of at most ", kMaxText, " bytes"));
  }
}

void CheckAblation(const v1::RunConfig& run, const std::string& where,
                   std::vector<std::string>& errors) {
  const v1::AblationPolicy& ablation = run.ablation();
  const auto policy = base::ReadAblationPolicy(
      ablation.heads(), {ablation.modes().begin(), ablation.modes().end()},
      ablation.budget());
  if (policy.ok()) return;
  errors.push_back(absl::StrCat(where, std::string(policy.status().message())));
}

void CheckPrometheus(const v1::PrometheusConfig& prometheus,
                     std::vector<std::string>& errors) {
  std::set<std::string> seen;
  for (const std::string& metric : prometheus.metrics()) {
    if (metric != "*" && !IsMetricName(metric)) {
      errors.push_back(absl::StrCat("prometheus.metrics \"", metric,
                                    "\" must match [a-z][a-z0-9_]{0,63} or "
                                    "be *"));
    }
    if (!seen.insert(metric).second) {
      errors.push_back(
          absl::StrCat("prometheus.metrics has \"", metric, "\" twice"));
    }
  }
}

void CheckHttp(const v1::HttpConfig& http, std::vector<std::string>& errors) {
  const std::string& origin = http.cors_origin();
  const bool is_origin = origin.empty() || origin == "*" ||
                         absl::StartsWith(origin, "http://") ||
                         absl::StartsWith(origin, "https://");
  // It goes into a header as it is.
  if (!is_origin || origin.find_first_of(" \r\n\t") != std::string::npos) {
    errors.push_back(absl::StrCat("http.cors_origin \"", origin,
                                  "\" is no origin (as "
                                  "https://notebook.example), nor *"));
  }
}

}  // namespace

absl::StatusOr<v1::ServerConfig> ReadConfig(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text,
                   base::ReadSmallFile(path, kMaxConfigMebibytes));
  FirstError errors(path);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  v1::ServerConfig config;
  if (!parser.ParseFromString(text, &config)) {
    return absl::InvalidArgumentError(errors.text());
  }
  return config;
}

void ApplyDefaults(v1::RunConfig& run) {
  if (run.dtype().empty()) run.set_dtype("float32");
  Default(run.quiescence_seconds(), 2.0,
          [&](double v) { run.set_quiescence_seconds(v); });
  Default(run.grace_seconds(), 120.0,
          [&](double v) { run.set_grace_seconds(v); });
  if (run.steps().policy_case() == v1::StepPolicy::POLICY_NOT_SET) {
    run.mutable_steps()->set_all(true);
  }
  run.set_root(Absolute(run.root()));
  run.set_probe(Absolute(run.probe()));
  run.set_manifest(Absolute(run.manifest()));
  run.set_model_config(Absolute(run.model_config()));
}

void ApplyDefaults(v1::ServerConfig& config) {
  if (config.grpc_address().empty()) config.set_grpc_address(kGrpcAddress);
  if (config.http_address().empty()) config.set_http_address(kHttpAddress);
  if (config.data_dir().empty()) config.set_data_dir(kDataDir);
  config.set_data_dir(Absolute(config.data_dir()));
  Default(config.poll_seconds(), 2.0,
          [&](double v) { config.set_poll_seconds(v); });
  ApplyLeaseDefaults(*config.mutable_lease());
  v1::PrometheusConfig& prometheus = *config.mutable_prometheus();
  if (prometheus.detail() == v1::PrometheusConfig::DETAIL_UNSPECIFIED) {
    prometheus.set_detail(v1::PrometheusConfig::DETAIL_LAYER);
  }
  Default(prometheus.max_series(), 40000,
          [&](int v) { prometheus.set_max_series(v); });
  v1::HttpConfig& http = *config.mutable_http();
  Default(http.max_connections(), 4096,
          [&](int v) { http.set_max_connections(v); });
  Default(http.threads(), 4, [&](int v) { http.set_threads(v); });
  v1::GrpcConfig& grpc = *config.mutable_grpc();
  Default(grpc.max_connections(), 1024,
          [&](int v) { grpc.set_max_connections(v); });
  Default(grpc.threads(), 4, [&](int v) { grpc.set_threads(v); });
  if (config.backup_dir().empty()) {
    config.set_backup_dir(absl::StrCat(config.data_dir(), "/backups"));
  }
  config.set_backup_dir(Absolute(config.backup_dir()));
  Default(config.max_added_runs(), 1000,
          [&](int v) { config.set_max_added_runs(v); });
  for (v1::RunConfig& run : *config.mutable_runs()) ApplyDefaults(run);
}

std::vector<std::string> RunErrors(const v1::RunConfig& run) {
  std::vector<std::string> errors;
  const std::string where = absl::StrCat("run \"", run.name(), "\": ");
  if (!IsRunName(run.name())) {
    errors.push_back(
        absl::StrCat(where, "the name must match [a-z0-9][a-z0-9._-]{0,63}"));
  }
  if (run.root().empty()) errors.push_back(where + "root is missing");
  if (run.probe().empty()) errors.push_back(where + "probe is missing");
  if (run.dtype() != "float32" && run.dtype() != "bfloat16") {
    errors.push_back(absl::StrCat(where, "dtype \"", run.dtype(),
                                  "\" is none of float32, bfloat16"));
  }
  RequirePositive(run.quiescence_seconds(), where + "quiescence_seconds",
                  errors);
  RequirePositive(run.grace_seconds(), where + "grace_seconds", errors);
  CheckRunPaths(run, where, errors);
  CheckRunTexts(run, where, errors);
  CheckPolicy(run, where, errors);
  const absl::Status patterns = CheckPatterns(run);
  if (!patterns.ok()) {
    errors.push_back(where + std::string(patterns.message()));
  }
  CheckAblation(run, where, errors);
  // Which there are the worker knows; what is none cannot become one.
  if (!run.protocol().empty() && !IsRunName(run.protocol())) {
    errors.push_back(absl::StrCat(where, "protocol \"", run.protocol(),
                                  "\" must match [a-z0-9][a-z0-9._-]{0,63}"));
  }
  return errors;
}

std::vector<std::string> ConfigErrors(const v1::ServerConfig& config) {
  std::vector<std::string> errors;
  if (!IsAddress(config.grpc_address())) {
    errors.push_back(absl::StrCat("grpc_address \"", config.grpc_address(),
                                  "\" is no HOST:PORT"));
  }
  if (!IsAddress(config.http_address())) {
    errors.push_back(absl::StrCat("http_address \"", config.http_address(),
                                  "\" is no HOST:PORT"));
  }
  RequirePositive(config.poll_seconds(), "poll_seconds", errors);
  RequirePositive(config.lease().ttl_seconds(), "lease.ttl_seconds", errors);
  RequirePositive(config.lease().max_attempts(), "lease.max_attempts", errors);
  RequirePositive(config.lease().backoff_seconds(), "lease.backoff_seconds",
                  errors);
  RequirePositive(config.lease().max_backoff_seconds(),
                  "lease.max_backoff_seconds", errors);
  RequirePositive(config.lease().stall_seconds(), "lease.stall_seconds",
                  errors);
  RequirePositive(config.prometheus().max_series(), "prometheus.max_series",
                  errors);
  RequirePositive(config.http().max_connections(), "http.max_connections",
                  errors);
  RequirePositive(config.http().threads(), "http.threads", errors);
  RequirePositive(config.grpc().max_connections(), "grpc.max_connections",
                  errors);
  RequirePositive(config.grpc().threads(), "grpc.threads", errors);
  RequirePositive(config.max_added_runs(), "max_added_runs", errors);
  CheckPrometheus(config.prometheus(), errors);
  CheckHttp(config.http(), errors);
  std::set<std::string> names;
  for (const v1::RunConfig& run : config.runs()) {
    for (std::string& error : RunErrors(run)) errors.push_back(error);
    if (!names.insert(run.name()).second) {
      errors.push_back(absl::StrCat("run \"", run.name(), "\" is there twice"));
    }
  }
  return errors;
}

absl::Status CheckRun(const v1::RunConfig& run) {
  const std::vector<std::string> errors = RunErrors(run);
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
}

absl::StatusOr<v1::RunConfig> ParseRunFlag(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  v1::RunConfig run;
  const std::map<std::string, std::string*> fields = {
      {"probe", run.mutable_probe()},
      {"stage", run.mutable_stage()},
      {"dtype", run.mutable_dtype()},
      {"manifest", run.mutable_manifest()},
      {"model_config", run.mutable_model_config()}};
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    const auto field = fields.find(pair.first);
    if (i == 0) {
      run.set_name(pair.first);
      run.set_root(pair.second);
    } else if (field != fields.end()) {
      *field->second = pair.second;
    } else {
      std::vector<std::string> names;
      for (const auto& [name, value] : fields) names.push_back(name);
      return absl::InvalidArgumentError(absl::StrCat(
          "--run=", text, ": \"", pair.first, "\" is none of ",
          absl::StrJoin(names, ", "), base::DidYouMean(pair.first, names),
          " (as --run=NAME=ROOT,probe=DIR)"));
    }
  }
  return run;
}

}  // namespace sinkwatch::server
