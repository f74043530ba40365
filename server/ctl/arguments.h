#ifndef SINKWATCH_SERVER_CTL_ARGUMENTS_H_
#define SINKWATCH_SERVER_CTL_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sinkwatch::ctl {

struct FlagSpec {
  std::string name;
  std::string value;  // what --help calls its value; empty: a switch
  std::string help;
};

struct CommandSpec {
  std::string name;
  std::vector<std::string> operands;  // "RUN"; each may be given as a flag too
  std::string summary;
  std::vector<FlagSpec> flags;
  std::vector<std::string> examples;  // without the program's name
};

// A command line after its check against a CommandSpec. Operands are flags by
// another way of writing: `series myrun` is `series --run=myrun`.
class Arguments {
 public:
  // `words` is the line without the program's name. INVALID_ARGUMENT, saying
  // what is wrong and what to type, for anything that is not in `commands` or
  // in `common` (flags of every command). `--help` and `help` are commands of
  // the name "help" whose operand may be a command.
  static absl::StatusOr<Arguments> Parse(
      const std::vector<std::string>& words,
      const std::vector<CommandSpec>& commands,
      const std::vector<FlagSpec>& common);

  const std::string& command() const { return command_; }
  bool Has(const std::string& flag) const { return flags_.count(flag) > 0; }
  std::string Get(const std::string& flag, const std::string& otherwise) const;

  // INVALID_ARGUMENT, naming the flag, if it is absent or empty.
  absl::StatusOr<std::string> Required(const std::string& flag) const;
  // INVALID_ARGUMENT for what is no number.
  absl::StatusOr<int64_t> Int(const std::string& flag, int64_t otherwise) const;
  absl::StatusOr<double> Number(const std::string& flag,
                                double otherwise) const;

 private:
  // Reads the flag that words[*at] is, and its value, which may be the next
  // word; then *at is moved on.
  absl::Status ReadFlag(const std::vector<std::string>& words,
                        const CommandSpec& command,
                        const std::vector<FlagSpec>& common, size_t* at);

  std::string command_;
  std::map<std::string, std::string> flags_;
};

// What `sinkctl help` and `sinkctl help COMMAND` print.
std::string HelpAll(const std::vector<CommandSpec>& commands,
                    const std::vector<FlagSpec>& common);
std::string HelpFor(const CommandSpec& command,
                    const std::vector<FlagSpec>& common);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_ARGUMENTS_H_
