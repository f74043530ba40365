// sinkwatch_worker: measures checkpoints, alone or for a server.
#include <malloc.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"
#include "worker/commands/flags.h"
#include "worker/commands/measure_command.h"
#include "worker/commands/probe_command.h"
#include "worker/commands/run_command.h"

ABSL_FLAG(std::string, device, "auto",
          "auto, cpu, cuda or cuda:N; auto takes a GPU where one can be used");
ABSL_FLAG(int64_t, tokens_per_batch, 8192,
          "tokens that run through a layer at a time; bounds the memory of "
          "activations");
ABSL_FLAG(int32_t, threads, 0,
          "threads that compute on the CPU; 0 for one per core. Small models "
          "beside other work are faster on 1");
ABSL_FLAG(std::string, dtype, "",
          "measure: compute dtype, float32 (default) or bfloat16; probe: dtype "
          "of token files, auto (default: the smallest that holds every id), "
          "uint8, uint16, uint32 or uint64");
ABSL_FLAG(std::string, output, "",
          "measure: file to write instead of standard output; probe: folder to "
          "make");

namespace {

constexpr char kUsage[] = R"(measures checkpoints of language models.

  sinkwatch_worker measure --checkpoint=DIR --probe=DIR [--format=json|csv|table]
      One checkpoint, without a server. Progress goes to standard error. Exit
      codes: 0 done, 2 bad usage, 3 incomplete, 4 corrupt, 5 unsupported,
      6 vanished, 1 other.
      sinkwatch_worker measure --checkpoint=runs/toy/step800 --probe=probes/toy

  sinkwatch_worker run --server=HOST:PORT [--device=cuda]
      Leases checkpoints from a server, measures them and sends the values,
      until SIGTERM. Exit codes: 0 drained, 2 bad usage, 42 self-test failed.
      sinkwatch_worker run --server=127.0.0.1:17461

  sinkwatch_worker probe --from_list=FILE --tokenizer=NAME --vocab_size=N
      --sequence_length=T --output=DIR [--dtype=auto] [--bos_policy=none]
      Makes a probe of raw token files (OLMo's .npy) where they lie: a folder
      of one file, probe.json, that pins paths, counts and digests. Exit codes:
      0 done, 2 bad usage or a token file that is wrong, 1 other.
      sinkwatch_worker probe --from_list=v3-small.txt --base=/data/olmo
          --tokenizer=dolma2-tokenizer --vocab_size=100278 --eos_id=100257
          --sequence_length=2048 --max_tokens_per_domain=262144
          --output=probes/v3-small)";

constexpr int kBadUsage = 2;

bool IsOwnFile(absl::string_view file) {
  return absl::StrContains(file, "worker/");
}

void SetUpHelp() {
  absl::SetProgramUsageMessage(kUsage);
  absl::FlagsUsageConfig config;
  config.contains_helpshort_flags = IsOwnFile;
  config.contains_help_flags = IsOwnFile;
  config.version_string = [] { return "sinkwatch_worker 0.1.0\n"; };
  absl::SetFlagsUsageConfig(config);
}

// Abseil's parser answers these itself; they are no flags of its registry.
bool IsHelpFlag(absl::string_view name) {
  return name == "help" || name == "helpshort" || name == "helpfull" ||
         name == "version";
}

// Abseil's parser ends the program with 1 for these mistakes; 1 is not "bad
// usage" here.
bool KnowsFlags(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word(argv[i]);
    if (word == "--") return true;
    if (!absl::StartsWith(word, "--")) continue;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(word.substr(2), absl::MaxSplits('=', 1));
    if (IsHelpFlag(parts.first)) continue;
    absl::CommandLineFlag* flag = absl::FindCommandLineFlag(parts.first);
    if (flag == nullptr && absl::StartsWith(parts.first, "no")) {
      flag = absl::FindCommandLineFlag(parts.first.substr(2));
    }
    std::string error = "no such flag";
    const bool has_value = absl::StrContains(word, "=");
    if (flag != nullptr &&
        (!has_value || flag->ParseFrom(parts.second, &error))) {
      continue;
    }
    std::fprintf(stderr, "sinkwatch_worker: %s: %s (see --help)\n", argv[i],
                 error.c_str());
    return false;
  }
  return true;
}

// A checkpoint of hundreds of ranks is thousands of files, all of them open
// while it is read; systems often allow 1024 until a process asks for more.
void RaiseFileLimit() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A weight goes back to the system when it is freed. The C library else keeps
// up to 32 MiB at a time in its heaps once a tensor of that size was freed.
void GiveLargeBlocksBack() {
  constexpr int kLargeBytes = 4 << 20;
  ::mallopt(M_MMAP_THRESHOLD, kLargeBytes);
}

}  // namespace

int main(int argc, char** argv) {
  GiveLargeBlocksBack();
  // Standard output is for results.
  spdlog::set_default_logger(spdlog::stderr_color_mt("sinkwatch_worker"));
  SetUpHelp();
  RaiseFileLimit();
  if (!KnowsFlags(argc, argv)) return kBadUsage;
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  const std::string command = rest.size() > 1 ? rest[1] : "";
  if (rest.size() > 2) {
    std::fprintf(stderr, "sinkwatch_worker: unexpected argument '%s'\n",
                 rest[2]);
    return kBadUsage;
  }
  if (command == "measure") return sinkwatch::worker::RunMeasureCommand();
  if (command == "run") return sinkwatch::worker::RunRunCommand();
  if (command == "probe") return sinkwatch::worker::RunProbeCommand();
  std::fprintf(
      stderr,
      "sinkwatch_worker: %s%s%s; commands are measure, run and probe (see "
      "--help)\n",
      command.empty() ? "no command" : "unknown command '", command.c_str(),
      command.empty() ? "" : "'");
  return kBadUsage;
}
