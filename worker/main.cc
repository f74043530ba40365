// sinkwatch_worker: measures checkpoints, alone or for a server.
#include <malloc.h>
#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <vector>

#include "proto/base/command_help.h"
#include "proto/base/stderr_log.h"
#include "worker/commands/measure_command.h"
#include "worker/commands/probe_command.h"
#include "worker/commands/program.h"
#include "worker/commands/run_command.h"

namespace {

constexpr int kBadUsage = 2;

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
  namespace base = sinkwatch::base;
  namespace worker = sinkwatch::worker;
  GiveLargeBlocksBack();
  // Standard output is for results.
  base::LogToStderr("sinkwatch_worker");
  RaiseFileLimit();
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) {
    std::fprintf(stderr,
                 "sinkwatch_worker: no command; there are measure, run and "
                 "probe (see `sinkwatch_worker help`)\n");
    return kBadUsage;
  }
  const auto arguments = base::Arguments::Parse(worker::WorkerProgram(), words);
  if (const auto code =
          base::AnswerWithoutWork(worker::WorkerProgram(), arguments)) {
    return *code;
  }
  if (arguments->command() == "measure") {
    return worker::RunMeasureCommand(*arguments);
  }
  if (arguments->command() == "run") return worker::RunRunCommand(*arguments);
  return worker::RunProbeCommand(*arguments);
}
