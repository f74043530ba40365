#include "server/ctl/completion.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace sinkwatch::ctl {
namespace {

std::vector<base::FlagSpec> FlagsOf(const base::ProgramSpec& program,
                                    const base::CommandSpec& command) {
  std::vector<base::FlagSpec> flags = command.flags;
  flags.insert(flags.end(), program.flags.begin(), program.flags.end());
  flags.push_back({"help", "", "what the command does"});
  return flags;
}

std::string NamesOf(const base::ProgramSpec& program) {
  return absl::StrCat(
      absl::StrJoin(program.commands, " ",
                    [](std::string* out, const base::CommandSpec& command) {
                      out->append(command.name);
                    }),
      " help");
}

// The words behind an operand that is a choice, such as a shell.
std::string OperandWords(const base::CommandSpec& command) {
  std::string words;
  for (const base::FlagSpec& flag : command.flags) {
    for (const std::string& operand : command.operands) {
      if (absl::AsciiStrToLower(operand) != flag.name) continue;
      absl::StrAppend(&words, absl::StrJoin(flag.choices, " "), " ");
    }
  }
  return words;
}

// Bash splits a line at '=' too: a value is a word of its own behind "=".
std::string Bash(const base::ProgramSpec& program) {
  std::string cases, values;
  for (const base::CommandSpec& command : program.commands) {
    std::string words = OperandWords(command);
    for (const base::FlagSpec& flag : FlagsOf(program, command)) {
      absl::StrAppend(&words, "--", flag.name, flag.value.empty() ? " " : "= ");
      if (flag.choices.empty()) continue;
      absl::StrAppend(&values, "    \"", command.name, " --", flag.name,
                      "\") words=\"", absl::StrJoin(flag.choices, " "),
                      "\" ;;\n");
    }
    absl::StrAppend(&cases, "    ", command.name, ") words=\"", words,
                    "\" ;;\n");
  }
  return absl::StrReplaceAll(
      R"(# Completes NAME in bash: source this file, or put it where bash-completion looks.
_NAME() {
  local current="${COMP_WORDS[COMP_CWORD]}" command="" flag="" words="" i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "${COMP_WORDS[i]}" in
      -* | "=") ;;
      *) [[ "${COMP_WORDS[i - 1]}" == "=" ]] || { command="${COMP_WORDS[i]}"; break; } ;;
    esac
  done
  [[ "$current" == "=" ]] && flag="${COMP_WORDS[COMP_CWORD - 1]}" current=""
  [[ "${COMP_WORDS[COMP_CWORD - 1]}" == "=" ]] && flag="${COMP_WORDS[COMP_CWORD - 2]}"
  case "$command${flag:+ $flag}" in
    "" | help) words="NAMES" ;;
CASES
VALUES
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ "${COMPREPLY[0]:-}" == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _NAME NAME
)",
      {{"NAMES", NamesOf(program)},
       {"CASES\n", cases},
       {"VALUES\n", values},
       {"NAME", program.name}});
}

std::string Zsh(const base::ProgramSpec& program) {
  return absl::StrCat("autoload -U +X bashcompinit && bashcompinit\n",
                      Bash(program));
}

std::string Quoted(const std::string& text) {
  return absl::StrCat(
      "'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::string Fish(const base::ProgramSpec& program) {
  const std::string start = absl::StrCat("complete -c ", program.name);
  std::string text = start + " -f\n";
  for (const base::CommandSpec& command : program.commands) {
    absl::StrAppend(&text, start, " -n __fish_use_subcommand -a ", command.name,
                    " -d ", Quoted(command.summary), "\n");
    const std::string here = absl::StrCat(
        start, " -n '__fish_seen_subcommand_from ", command.name, "'");
    if (const std::string words = OperandWords(command); !words.empty()) {
      absl::StrAppend(&text, here, " -a ", Quoted(words), "\n");
    }
    for (const base::FlagSpec& flag : FlagsOf(program, command)) {
      absl::StrAppend(&text, here, " -l ", flag.name,
                      flag.value.empty() ? "" : " -r", " -d ",
                      Quoted(flag.help));
      if (!flag.choices.empty()) {
        absl::StrAppend(&text, " -a ",
                        Quoted(absl::StrJoin(flag.choices, " ")));
      }
      text.push_back('\n');
    }
  }
  return text;
}

}  // namespace

std::string Completion(const base::ProgramSpec& program,
                       const std::string& shell) {
  if (shell == "fish") return Fish(program);
  return shell == "zsh" ? Zsh(program) : Bash(program);
}

}  // namespace sinkwatch::ctl
