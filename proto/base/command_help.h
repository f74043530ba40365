#ifndef SINKWATCH_PROTO_BASE_COMMAND_HELP_H_
#define SINKWATCH_PROTO_BASE_COMMAND_HELP_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "proto/base/command_line.h"

namespace sinkwatch::base {

// What `PROGRAM help` prints, lines of at most 80 columns: commands, or the
// flags of a program without them, each with its default and an example.
std::string ProgramHelp(const ProgramSpec& program);
// What `PROGRAM help COMMAND` prints.
std::string CommandHelp(const ProgramSpec& program, const CommandSpec& command);

// The help that the command "help" of `arguments` asks for. INVALID_ARGUMENT,
// naming the nearest, for a command that is not there.
absl::StatusOr<std::string> HelpText(const ProgramSpec& program,
                                     const Arguments& arguments);

// For main: the exit code of a line that is wrong (2, said on standard error),
// or that asks for help or the version (0, on standard output; 1 where that
// cannot be written); nullopt for a line that is to be carried out.
std::optional<int> AnswerWithoutWork(
    const ProgramSpec& program, const absl::StatusOr<Arguments>& arguments);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_COMMAND_HELP_H_
