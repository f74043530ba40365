#ifndef SINKWATCH_PROTO_BASE_COMMAND_LINE_H_
#define SINKWATCH_PROTO_BASE_COMMAND_LINE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

// Command lines of this release's programs: tables say what there is, one
// parser checks a line against them, and the same tables make the help.
namespace sinkwatch::base {

// What the value of a flag must be.
enum class ValueKind {
  kText,
  kWhole,     // a whole number
  kPositive,  // a whole number above 0
  kNumber,    // a finite number
  kDuration,  // "1.5s", "10m", "inf"
};

struct FlagSpec {
  std::string name;           // '-' and '_' in it are the same
  std::string value;          // what help calls its value; empty: a switch
  std::string help;           // ends without a full stop
  std::string fallback = {};  // the value of a line that has none
  std::string example = {};   // a value
  std::vector<std::string> choices = {};  // if any, there are no other values
  ValueKind kind = ValueKind::kText;
  bool needed = false;
  bool repeated = false;  // each occurrence counts, not the last one only
  char letter = 0;        // 'o': "-o VALUE" is short for it
  const char* variable = nullptr;  // of the environment; is before `fallback`

  // The flag with one thing changed.
  FlagSpec Default(const std::string& text) const;
  FlagSpec Example(const std::string& text) const;
  FlagSpec OneOf(const std::vector<std::string>& words) const;
  FlagSpec Of(ValueKind value_kind) const;
  FlagSpec Needed() const;
};

struct CommandSpec {
  std::string name;
  // "RUN", "[RUN]" if it may be left out, or as the last one "RUN...", which is
  // that and all that follow (a repeated flag). Each may be given as a flag too
  // (--run); a flag of that name describes it.
  std::vector<std::string> operands;
  std::string summary;
  std::vector<FlagSpec> flags;
  std::vector<std::string> examples;  // without the program's name
  std::string notes = {};             // the end of its help
};

struct ProgramSpec {
  std::string name;
  std::string summary;
  // One without a name: the program has no commands.
  std::vector<CommandSpec> commands;
  std::vector<FlagSpec> flags;  // of every command
  std::string notes;            // the end of the help
};

// The command of that name; null if there is none.
const CommandSpec* FindCommand(const ProgramSpec& program,
                               const std::string& name);

// A command line that was checked against its program. Operands are flags by
// another way of writing: `series myrun` is `series --run=myrun`.
class Arguments {
 public:
  // `words` is the line without the program's name. INVALID_ARGUMENT, saying
  // what is wrong, what is nearest and where to look, for a command, flag,
  // operand or value that `program` does not have.
  //
  // No words, `help`, --help and -h are the command "help", whose operand may
  // be a command; `version` and --version are the command "version", of which
  // only the latter has the flag "version".
  //
  // Values: --name=value or --name value; one dash will do. Switches: --name,
  // --noname, --name=true|false. "--" ends the flags.
  static absl::StatusOr<Arguments> Parse(const ProgramSpec& program,
                                         const std::vector<std::string>& words);

  const std::string& command() const { return command_; }
  // Whether the line has the flag, or turns the switch on.
  bool Has(const std::string& flag) const;
  // The value: the line's, else the environment's, else the default.
  std::string Get(const std::string& flag) const;
  // Every value of a repeated flag, in the order of the line.
  std::vector<std::string> All(const std::string& flag) const;
  // The value split at commas; empty if it is.
  std::vector<std::string> List(const std::string& flag) const;
  // The value of a flag of that kind; 0 if it is empty.
  int64_t Int(const std::string& flag) const;
  double Number(const std::string& flag) const;
  absl::Duration Duration(const std::string& flag) const;

 private:
  friend class ArgumentsParser;

  std::string command_;
  std::map<std::string, std::vector<std::string>> given_;
  std::map<std::string, std::string> fallbacks_;
};

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_COMMAND_LINE_H_
