#include "server/ctl/arguments.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace sinkwatch::ctl {
namespace {

const CommandSpec* FindCommand(const std::vector<CommandSpec>& commands,
                               const std::string& name) {
  const auto it = std::find_if(
      commands.begin(), commands.end(),
      [&](const CommandSpec& command) { return command.name == name; });
  return it == commands.end() ? nullptr : &*it;
}

const FlagSpec* FindFlag(const std::vector<FlagSpec>& flags,
                         const std::string& name) {
  const auto it =
      std::find_if(flags.begin(), flags.end(),
                   [&](const FlagSpec& flag) { return flag.name == name; });
  return it == flags.end() ? nullptr : &*it;
}

absl::Status Usage(const std::string& command, const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat(problem, "; see `sinkctl help",
                                                 command.empty() ? "" : " ",
                                                 command, "`"));
}

std::string FlagLine(const FlagSpec& flag) {
  const std::string left =
      absl::StrCat("--", flag.name, flag.value.empty() ? "" : "=", flag.value);
  return absl::StrFormat("  %-26s %s\n", left, flag.help);
}

// One word of the line as it is read: a flag's name, and its value if the word
// holds it.
struct Word {
  std::string name;
  std::string value;
  bool has_value = false;
};

Word SplitFlag(const std::string& word) {
  Word parts;
  const size_t equals = word.find('=');
  parts.name =
      word.substr(2, equals == std::string::npos ? equals : equals - 2);
  parts.has_value = equals != std::string::npos;
  if (parts.has_value) parts.value = word.substr(equals + 1);
  return parts;
}

// The command that help is asked about; empty: about all. nullopt if help is
// not asked for.
std::optional<std::string> HelpTopic(const std::vector<std::string>& words,
                                     size_t command) {
  if (command == words.size()) return "";
  if (words[command] == "help") {
    return command + 1 < words.size() ? words[command + 1] : "";
  }
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") return words[command];
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Arguments> Arguments::Parse(
    const std::vector<std::string>& words,
    const std::vector<CommandSpec>& commands,
    const std::vector<FlagSpec>& common) {
  Arguments arguments;
  // The command is the first word that is no flag; what a flag means depends
  // on it, so it is looked for first.
  const size_t at = std::find_if(words.begin(), words.end(),
                                 [](const std::string& word) {
                                   return !absl::StartsWith(word, "-");
                                 }) -
                    words.begin();
  if (auto topic = HelpTopic(words, at); topic.has_value()) {
    arguments.command_ = "help";
    arguments.flags_["command"] = *topic;
    return arguments;
  }
  arguments.command_ = words[at];
  const CommandSpec* command = FindCommand(commands, words[at]);
  if (command == nullptr) {
    return Usage("", absl::StrCat("there is no command \"", words[at], "\""));
  }
  size_t operand = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i == at) continue;
    if (absl::StartsWith(words[i], "--")) {
      absl::Status status = arguments.ReadFlag(words, *command, common, &i);
      if (!status.ok()) return status;
    } else if (operand < command->operands.size()) {
      const std::string& name = command->operands[operand++];
      arguments.flags_[absl::AsciiStrToLower(name)] = words[i];
    } else {
      return Usage(words[at],
                   absl::StrCat("\"", words[i], "\" is one word too many"));
    }
  }
  return arguments;
}

absl::Status Arguments::ReadFlag(const std::vector<std::string>& words,
                                 const CommandSpec& command,
                                 const std::vector<FlagSpec>& common,
                                 size_t* at) {
  Word word = SplitFlag(words[*at]);
  const FlagSpec* flag = FindFlag(command.flags, word.name);
  if (flag == nullptr) flag = FindFlag(common, word.name);
  const bool is_operand =
      std::any_of(command.operands.begin(), command.operands.end(),
                  [&](const std::string& name) {
                    return absl::AsciiStrToLower(name) == word.name;
                  });
  if (flag == nullptr && !is_operand) {
    return Usage(command.name, absl::StrCat("there is no flag --", word.name));
  }
  const bool is_switch = flag != nullptr && flag->value.empty();
  if (is_switch && word.has_value && word.value != "true" &&
      word.value != "false") {
    return Usage(command.name,
                 absl::StrCat("--", word.name, " takes no value"));
  }
  if (is_switch && word.value == "false") return absl::OkStatus();
  if (!is_switch && !word.has_value) {
    if (*at + 1 == words.size()) {
      return Usage(command.name,
                   absl::StrCat("--", word.name, " needs a value"));
    }
    word.value = words[++*at];
  }
  flags_[word.name] = word.value;
  return absl::OkStatus();
}

std::string Arguments::Get(const std::string& flag,
                           const std::string& otherwise) const {
  const auto it = flags_.find(flag);
  return it == flags_.end() ? otherwise : it->second;
}

absl::StatusOr<std::string> Arguments::Required(const std::string& flag) const {
  const std::string value = Get(flag, "");
  if (value.empty())
    return Usage(command_, absl::StrCat("--", flag, " is needed"));
  return value;
}

absl::StatusOr<int64_t> Arguments::Int(const std::string& flag,
                                       int64_t otherwise) const {
  if (!Has(flag)) return otherwise;
  int64_t value = 0;
  if (!absl::SimpleAtoi(Get(flag, ""), &value)) {
    return Usage(command_, absl::StrCat("--", flag, "=", Get(flag, ""),
                                        " is not a whole number"));
  }
  return value;
}

absl::StatusOr<double> Arguments::Number(const std::string& flag,
                                         double otherwise) const {
  if (!Has(flag)) return otherwise;
  double value = 0;
  if (!absl::SimpleAtod(Get(flag, ""), &value) || !std::isfinite(value)) {
    return Usage(command_, absl::StrCat("--", flag, "=", Get(flag, ""),
                                        " is not a number"));
  }
  return value;
}

std::string HelpAll(const std::vector<CommandSpec>& commands,
                    const std::vector<FlagSpec>& common) {
  std::string text =
      "sinkctl: look at a sinkwatch server and tell it what to do.\n\n"
      "usage: sinkctl COMMAND [OPERANDS] [FLAGS]\n\ncommands:\n";
  for (const CommandSpec& command : commands) {
    absl::StrAppend(
        &text, absl::StrFormat("  %-12s %s\n", command.name, command.summary));
  }
  absl::StrAppend(&text, "\nflags of every command:\n");
  for (const FlagSpec& flag : common) text += FlagLine(flag);
  absl::StrAppend(&text,
                  "\n`sinkctl help COMMAND` shows its flags and examples.\n"
                  "exit codes: 0 done, 1 failed, 2 bad usage, 3 not found, 4 "
                  "server not reachable\n");
  return text;
}

std::string HelpFor(const CommandSpec& command,
                    const std::vector<FlagSpec>& common) {
  std::string text = absl::StrCat(
      "sinkctl ", command.name, ": ", command.summary, "\n\nusage: sinkctl ",
      command.name, command.operands.empty() ? "" : " ",
      absl::StrJoin(command.operands, " "), " [FLAGS]\n\nflags:\n");
  for (const FlagSpec& flag : command.flags) text += FlagLine(flag);
  for (const FlagSpec& flag : common) text += FlagLine(flag);
  absl::StrAppend(&text, "\nexamples:\n");
  for (const std::string& example : command.examples) {
    absl::StrAppend(&text, "  sinkctl ", example, "\n");
  }
  return text;
}

}  // namespace sinkwatch::ctl
