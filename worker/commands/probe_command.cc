#include "worker/commands/probe_command.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/probe/pin.h"

namespace sinkwatch::worker {
namespace {

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "sinkwatch_worker probe: %s\n",
               std::string(status.message()).c_str());
  const bool is_usage =
      absl::IsInvalidArgument(status) || absl::IsAlreadyExists(status);
  return is_usage ? 2 : 1;
}

probe::PinOptions OptionsOf(const base::Arguments& arguments) {
  probe::PinOptions options;
  options.list_file = arguments.Get("from_list");
  options.base_folder = arguments.Get("base");
  options.tokenizer = arguments.Get("tokenizer");
  options.vocabulary = arguments.Int("vocab_size");
  options.dtype = arguments.Get("dtype");
  options.sequence_length = arguments.Int("sequence_length");
  options.max_tokens_per_domain = arguments.Int("max_tokens_per_domain");
  options.bos_policy = arguments.Get("bos_policy");
  options.bos_id = arguments.Int("bos_id");
  options.eos_id = arguments.Int("eos_id");
  return options;
}

// The folder without slashes at its end.
std::string OutputFolder(const base::Arguments& arguments) {
  std::string folder = arguments.Get("output");
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

void Summarise(const probe::PinOptions& options, const std::string& folder,
               const probe::PinReport& report) {
  std::fprintf(stderr, "%-32s %6s %12s %12s %10s\n", "domain", "files",
               "tokens", "of", "sequences");
  int64_t tokens = 0;
  for (const probe::PinnedDomain& domain : report.domains) {
    std::fprintf(stderr,
                 "%-32s %6" PRId64 " %12" PRId64 " %12" PRId64 " %10" PRId64
                 "\n",
                 domain.label.c_str(), domain.files, domain.tokens,
                 domain.tokens_available, domain.sequences);
    tokens += domain.tokens;
  }
  for (const std::string& warning : report.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  std::fprintf(stderr,
               "pinned %" PRId64
               " tokens (%s, bos_policy %s) in sequences of "
               "%" PRId64 "\n%s/probe.json, digest %s\n",
               tokens, report.dtype.c_str(), options.bos_policy.c_str(),
               options.sequence_length, folder.c_str(), report.digest.c_str());
}

}  // namespace

int RunProbeCommand(const base::Arguments& arguments) {
  probe::PinOptions options = OptionsOf(arguments);
  const std::string folder = OutputFolder(arguments);
  options.name = std::filesystem::path(folder).filename().string();
  const absl::StatusOr<probe::PinReport> report =
      probe::PinProbe(options, folder);
  if (!report.ok()) return Complain(report.status());
  Summarise(options, folder, *report);
  return 0;
}

}  // namespace sinkwatch::worker
