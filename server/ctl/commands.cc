#include "server/ctl/commands.h"

#include <cerrno>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "proto/base/command_help.h"
#include "proto/base/version.h"
#include "server/ctl/admin_commands.h"
#include "server/ctl/completion.h"
#include "server/ctl/context.h"
#include "server/ctl/program.h"
#include "server/ctl/query_commands.h"
#include "server/ctl/series_commands.h"
#include "server/ctl/terminal.h"

namespace sinkwatch::ctl {
namespace {

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kNotFound:
      return 3;
    case absl::StatusCode::kUnavailable:
      return 4;
    default:
      return 1;
  }
}

absl::Status Complete(const Context& c) {
  c.out << Completion(SinkctlProgram(), c.args.Get("shell"));
  return absl::OkStatus();
}

const Command& HandlerOf(const std::string& command) {
  static const auto* const kHandlers = [] {
    auto* all = new std::map<std::string, Command>(QueryCommands());
    all->merge(SeriesCommands());
    all->merge(AdminCommands());
    all->emplace("completion", Complete);
    return all;
  }();
  return kHandlers->at(command);
}

absl::Status Run(const std::vector<std::string>& words, std::ostream& out,
                 std::ostream& err) {
  const auto args = base::Arguments::Parse(SinkctlProgram(), words);
  if (!args.ok()) return args.status();
  if (args->command() == "help") {
    const auto text = base::HelpText(SinkctlProgram(), *args);
    if (text.ok()) out << *text;
    return text.status();
  }
  // `sinkctl version`, but not `sinkctl --version`, asks the server too.
  if (args->command() == "version" && args->Has("version")) {
    out << "sinkctl " << base::kVersion << "\n";
    return absl::OkStatus();
  }
  Client client(args->Get("server"), absl::Seconds(args->Number("timeout")));
  const Context context{
      *args, client, out, err, ParseFormat(args->Get("format")), OutputWidth()};
  return HandlerOf(args->command())(context);
}

}  // namespace

int Sinkctl(const std::vector<std::string>& words, std::ostream& out,
            std::ostream& err) {
  errno = 0;
  absl::Status status = Run(words, out, err);
  if (!out.flush() && status.ok()) {
    status = absl::UnknownError(absl::StrCat(
        "cannot write: ", errno == 0 ? "output error" : std::strerror(errno)));
  }
  if (!status.ok()) {
    err << "sinkctl: " << std::string(status.message()) << "\n";
  }
  return ExitCode(status);
}

}  // namespace sinkwatch::ctl
