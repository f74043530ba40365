#include "server/ctl/program.h"

#include <iterator>
#include <utility>

#include "server/ctl/admin_commands.h"
#include "server/ctl/analysis_commands.h"
#include "server/ctl/completion.h"
#include "server/ctl/query_commands.h"
#include "server/ctl/reference_commands.h"
#include "server/ctl/series_commands.h"
#include "server/ctl/state_commands.h"
#include "server/ctl/store_commands.h"

namespace sinkwatch::ctl {
namespace {

using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

absl::Status Complete(const Context& c) {
  c.out << Completion(SinkctlProgram(), c.args.Get("shell"));
  return absl::OkStatus();
}

CommandSpec CompletionSpec() {
  return {"completion",
          {"SHELL"},
          "a script that completes commands and flags",
          {FlagSpec{"shell", "SHELL", "the shell; default: none"}
               .OneOf({"bash", "zsh", "fish"})
               .Example("bash")},
          {"completion bash > ~/.local/share/bash-completion/completions/"
           "sinkctl"}};
}

std::vector<FlagSpec> CommonFlags() {
  FlagSpec server = FlagSpec{"server", "HOST:PORT", "gRPC address"}
                        .Default("127.0.0.1:17461")
                        .Example("sink.example:17461");
  server.variable = "SINKWATCH_SERVER";
  FlagSpec format = FlagSpec{"format", "FORM", "of the answer"}
                        .OneOf({"table", "json", "csv"})
                        .Default("table")
                        .Example("json");
  format.letter = 'o';
  return {server, format,
          FlagSpec{"timeout", "SECONDS", "of one request; of `store`: a day"}
              .Of(ValueKind::kNumber)
              .Default("30")
              .Example("2.5")};
}

std::vector<Command> AllCommands() {
  std::vector<Command> all = QueryCommands();
  for (std::vector<Command> more :
       {SeriesCommands(), AnalysisCommands(), StateCommands(),
        ReferenceCommands(), AdminCommands(), StoreCommands(),
        std::vector<Command>{{CompletionSpec(), Complete}}}) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace

const std::vector<Command>& Commands() {
  static const auto* const kCommands = new std::vector<Command>(AllCommands());
  return *kCommands;
}

const base::ProgramSpec& SinkctlProgram() {
  static const auto* const kProgram = [] {
    auto* const program = new base::ProgramSpec{
        "sinkctl",
        "look at a sinkwatch server and tell it what to do.",
        {},
        CommonFlags(),
        "exit codes: 0 done, 1 failed, 2 bad usage, 3 not found, 4 server not "
        "reachable\n"};
    for (const Command& command : Commands()) {
      program->commands.push_back(command.spec);
    }
    return program;
  }();
  return *kProgram;
}

}  // namespace sinkwatch::ctl
