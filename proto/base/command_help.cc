#include "proto/base/command_help.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/base/nearest.h"
#include "proto/base/version.h"

namespace sinkwatch::base {
namespace {

constexpr size_t kColumns = 80;
constexpr size_t kMaxLeft = 26;

// `left`, then `text` in a column of its own beside or below it.
void AppendEntry(const std::string& left, const std::string& text,
                 size_t indent, std::string* out) {
  std::string line = absl::StrCat("  ", left);
  const auto flush = [&] {
    absl::StrAppend(out, line, "\n");
    line.assign(indent - 1, ' ');
  };
  if (line.size() >= indent) flush();
  line.resize(indent - 1, ' ');
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (line.size() + 1 + word.size() > kColumns && line.size() >= indent) {
      flush();
    }
    absl::StrAppend(&line, " ", word);
  }
  flush();
}

// A paragraph.
std::string Wrapped(const std::string& text) {
  std::string out, line;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&out, line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  return absl::StrCat(out, line, "\n");
}

std::string LeftOf(const FlagSpec& flag) {
  return absl::StrCat(
      flag.letter == 0 ? ""
                       : absl::StrCat("-", std::string(1, flag.letter), ", "),
      "--", flag.name, flag.value.empty() ? "" : "=", flag.value);
}

// The help, what is needed or default, and an example.
std::string RightOf(const FlagSpec& flag) {
  std::string text = flag.help;
  if (!flag.choices.empty()) {
    absl::StrAppend(&text, ": ", absl::StrJoin(flag.choices, ", "));
  }
  if (flag.needed) absl::StrAppend(&text, "; needed");
  if (flag.repeated) absl::StrAppend(&text, "; may be repeated");
  if (flag.variable != nullptr) {
    absl::StrAppend(&text, "; default $", flag.variable, " or ", flag.fallback);
  } else if (!flag.fallback.empty()) {
    absl::StrAppend(&text, "; default ", flag.fallback);
  }
  if (!flag.example.empty()) {
    absl::StrAppend(&text, "; as --", flag.name, "=", flag.example);
  }
  return text;
}

void AppendFlags(const std::vector<FlagSpec>& flags, std::string* out) {
  size_t left = 0;
  for (const FlagSpec& flag : flags) {
    if (LeftOf(flag).size() <= kMaxLeft) {
      left = std::max(left, LeftOf(flag).size());
    }
  }
  for (const FlagSpec& flag : flags) {
    AppendEntry(LeftOf(flag), RightOf(flag), left + 4, out);
  }
}

void AppendExamples(const ProgramSpec& program, const CommandSpec& command,
                    std::string* out) {
  absl::StrAppend(out, "\nexamples:\n");
  for (const std::string& example : command.examples) {
    absl::StrAppend(out, "  ", program.name, example.empty() ? "" : " ",
                    example, "\n");
  }
}

bool HasCommands(const ProgramSpec& program) {
  return program.commands.size() != 1 || !program.commands[0].name.empty();
}

std::vector<FlagSpec> OwnFlags() {
  return {{"help", "", "this text"}, {"version", "", "the version"}};
}

}  // namespace

std::string ProgramHelp(const ProgramSpec& program) {
  if (!HasCommands(program)) return CommandHelp(program, program.commands[0]);
  std::string text = absl::StrCat(program.name, ": ", program.summary,
                                  "\n\nusage: ", program.name,
                                  " COMMAND [OPERANDS] [FLAGS]\n\ncommands:\n");
  size_t longest = 0;
  for (const CommandSpec& command : program.commands) {
    longest = std::max(longest, command.name.size());
  }
  for (const CommandSpec& command : program.commands) {
    AppendEntry(command.name, command.summary, longest + 4, &text);
  }
  absl::StrAppend(&text, "\nflags of every command:\n");
  std::vector<FlagSpec> flags = program.flags;
  for (const FlagSpec& flag : OwnFlags()) flags.push_back(flag);
  AppendFlags(flags, &text);
  absl::StrAppend(&text, "\n`", program.name,
                  " help COMMAND` shows its flags and examples.\n",
                  program.notes);
  return text;
}

std::string CommandHelp(const ProgramSpec& program,
                        const CommandSpec& command) {
  const std::string name =
      absl::StrCat(program.name, command.name.empty() ? "" : " ", command.name);
  std::string text = absl::StrCat(
      Wrapped(absl::StrCat(
          name, ": ",
          command.summary.empty() ? program.summary : command.summary)),
      "\nusage: ", name, command.operands.empty() ? "" : " ",
      absl::StrJoin(command.operands, " "), " [FLAGS]\n\nflags:\n");
  std::vector<FlagSpec> flags = command.flags;
  flags.insert(flags.end(), program.flags.begin(), program.flags.end());
  for (const FlagSpec& flag : OwnFlags()) flags.push_back(flag);
  AppendFlags(flags, &text);
  AppendExamples(program, command, &text);
  for (const std::string& notes : {command.notes, program.notes}) {
    if (!notes.empty()) absl::StrAppend(&text, "\n", notes);
  }
  return text;
}

absl::StatusOr<std::string> HelpText(const ProgramSpec& program,
                                     const Arguments& arguments) {
  const std::string name = arguments.Get("command");
  if (name.empty() || !HasCommands(program)) return ProgramHelp(program);
  if (const CommandSpec* command = FindCommand(program, name)) {
    return CommandHelp(program, *command);
  }
  std::vector<std::string> names;
  for (const CommandSpec& command : program.commands) {
    names.push_back(command.name);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no command \"", name, "\"", DidYouMean(name, names), " (see `",
      program.name, " help`)"));
}

std::optional<int> AnswerWithoutWork(
    const ProgramSpec& program, const absl::StatusOr<Arguments>& arguments) {
  absl::StatusOr<std::string> text = std::string();
  if (!arguments.ok()) {
    text = arguments.status();
  } else if (arguments->command() == "help") {
    text = HelpText(program, *arguments);
  } else if (arguments->command() == "version") {
    text = absl::StrCat(program.name, " ", kVersion, "\n");
  } else {
    return std::nullopt;
  }
  if (!text.ok()) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(),
                 std::string(text.status().message()).c_str());
    return 2;
  }
  std::fputs(text->c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace sinkwatch::base
