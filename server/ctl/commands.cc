#include "server/ctl/commands.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "proto/base/command_help.h"
#include "proto/base/utf8.h"
#include "proto/base/version.h"
#include "server/ctl/context.h"
#include "server/ctl/program.h"
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

// `name` is of a line that was parsed: there is one.
const Command& CommandOf(const std::string& name) {
  return *std::find_if(
      Commands().begin(), Commands().end(),
      [&](const Command& command) { return command.spec.name == name; });
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
  // How long a store takes depends on its size alone.
  const bool patient = args->command() == "store" && !args->Has("timeout");
  Client client(
      args->Get("server"),
      patient ? absl::Hours(24) : absl::Seconds(args->Number("timeout")));
  const Context context{
      *args, client, out, err, ParseFormat(args->Get("format")), OutputWidth()};
  return CommandOf(args->command()).run(context);
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
    err << "sinkctl: " << base::OneLine(status.message()) << "\n";
  }
  return ExitCode(status);
}

}  // namespace sinkwatch::ctl
