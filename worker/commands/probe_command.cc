#include "worker/commands/probe_command.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/commands/flags.h"
#include "worker/probe/pin.h"

ABSL_FLAG(std::string, from_list, "",
          "probe: file of lines label,path that name raw token files, as "
          "OLMo-core's data mixes; {TOKENIZER} in a path is --tokenizer");
ABSL_FLAG(std::string, base, "",
          "probe: folder that relative paths of the list start from; default "
          "the list's own");
ABSL_FLAG(std::string, tokenizer, "",
          "probe: name of the tokenizer, as --tokenizer=dolma2-tokenizer");
ABSL_FLAG(int64_t, vocab_size, 0,
          "probe: ids are below this, as --vocab_size=100278");
ABSL_FLAG(int64_t, sequence_length, 0,
          "probe: tokens of a sequence, as --sequence_length=2048");
ABSL_FLAG(int64_t, max_tokens_per_domain, 0,
          "probe: ids used of each domain, from its start; 0 for all");
ABSL_FLAG(std::string, bos_policy, "none",
          "probe: first token of each sequence: none (the text goes on, as "
          "OLMo trains), stored (the files have one already), prepend "
          "(--bos_id) or eos (--eos_id)");
ABSL_FLAG(int64_t, bos_id, -1, "probe: id that bos_policy prepend puts first");
ABSL_FLAG(int64_t, eos_id, -1,
          "probe: id that ends a text, as --eos_id=100257; checked, and put "
          "first by bos_policy eos");

namespace sinkwatch::worker {
namespace {

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "sinkwatch_worker probe: %s\n",
               std::string(status.message()).c_str());
  const bool is_usage =
      absl::IsInvalidArgument(status) || absl::IsAlreadyExists(status);
  return is_usage ? 2 : 1;
}

template <typename T>
absl::string_view NameOf(const absl::Flag<T>& flag) {
  return absl::GetFlagReflectionHandle(flag).Name();
}

absl::StatusOr<probe::PinOptions> OptionsFromFlags() {
  for (const auto* flag : {&FLAGS_from_list, &FLAGS_tokenizer, &FLAGS_output}) {
    if (!absl::GetFlag(*flag).empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", NameOf(*flag), " is missing (see --help)"));
  }
  for (const auto* flag : {&FLAGS_vocab_size, &FLAGS_sequence_length}) {
    if (absl::GetFlag(*flag) > 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--", NameOf(*flag), " is missing or not above 0 (see --help)"));
  }
  probe::PinOptions options;
  options.list_file = absl::GetFlag(FLAGS_from_list);
  options.base_folder = absl::GetFlag(FLAGS_base);
  options.tokenizer = absl::GetFlag(FLAGS_tokenizer);
  options.vocabulary = absl::GetFlag(FLAGS_vocab_size);
  if (const std::string dtype = absl::GetFlag(FLAGS_dtype); !dtype.empty()) {
    options.dtype = dtype;
  }
  options.sequence_length = absl::GetFlag(FLAGS_sequence_length);
  options.max_tokens_per_domain = absl::GetFlag(FLAGS_max_tokens_per_domain);
  options.bos_policy = absl::GetFlag(FLAGS_bos_policy);
  options.bos_id = absl::GetFlag(FLAGS_bos_id);
  options.eos_id = absl::GetFlag(FLAGS_eos_id);
  return options;
}

// The folder without slashes at its end.
std::string OutputFolder() {
  std::string folder = absl::GetFlag(FLAGS_output);
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

void Summarise(const probe::PinOptions& options,
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
               options.sequence_length, OutputFolder().c_str(),
               report.digest.c_str());
}

}  // namespace

int RunProbeCommand() {
  absl::StatusOr<probe::PinOptions> options = OptionsFromFlags();
  if (!options.ok()) return Complain(options.status());
  options->name = std::filesystem::path(OutputFolder()).filename().string();
  const absl::StatusOr<probe::PinReport> report =
      probe::PinProbe(*options, OutputFolder());
  if (!report.ok()) return Complain(report.status());
  Summarise(*options, *report);
  return 0;
}

}  // namespace sinkwatch::worker
