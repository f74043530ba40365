#include "proto/base/command_line.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "proto/base/nearest.h"
#include "proto/base/status_macros.h"

namespace sinkwatch::base {
namespace {

// The name under which a flag is kept.
std::string KeyOf(absl::string_view name) {
  return absl::StrReplaceAll(name, {{"-", "_"}});
}

std::string NameOfOperand(const std::string& operand) {
  return absl::AsciiStrToLower(
      absl::StrReplaceAll(operand, {{"[", ""}, {"]", ""}, {"...", ""}}));
}

// "RUN...": one and all that follow.
bool IsRepeated(const std::string& operand) {
  return absl::StrContains(operand, "...");
}

bool IsOptional(const std::string& operand) {
  return absl::StartsWith(operand, "[");
}

bool IsNumber(const std::string& word) {
  double number = 0;
  return absl::SimpleAtod(word, &number);
}

// A dash and more, which is not a negative number.
bool IsFlag(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !IsNumber(word);
}

std::optional<bool> ParseBool(const std::string& text) {
  const std::string word = absl::AsciiStrToLower(text);
  for (const char* yes : {"true", "1", "t", "yes", "y"}) {
    if (word == yes) return true;
  }
  for (const char* no : {"false", "0", "f", "no", "n"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

// What `text` is not, if it is not of its kind; else empty.
std::string KindError(ValueKind kind, const std::string& text) {
  int64_t whole = 0;
  double number = 0;
  absl::Duration duration;
  switch (kind) {
    case ValueKind::kText:
      return "";
    case ValueKind::kWhole:
      return absl::SimpleAtoi(text, &whole) ? "" : "a whole number";
    case ValueKind::kPositive:
      return absl::SimpleAtoi(text, &whole) && whole > 0
                 ? ""
                 : "a whole number above 0";
    case ValueKind::kNumber:
      return absl::SimpleAtod(text, &number) && std::isfinite(number)
                 ? ""
                 : "a number";
    case ValueKind::kDuration:
      return absl::ParseDuration(text, &duration) ? ""
                                                  : "a duration such as 1.5s";
  }
  return "";
}

const FlagSpec* FindFlag(const std::vector<FlagSpec>& flags,
                         const std::string& key) {
  const auto it = std::find_if(
      flags.begin(), flags.end(),
      [&](const FlagSpec& flag) { return KeyOf(flag.name) == key; });
  return it == flags.end() ? nullptr : &*it;
}

}  // namespace

FlagSpec FlagSpec::Default(const std::string& text) const {
  FlagSpec flag = *this;
  flag.fallback = text;
  return flag;
}

FlagSpec FlagSpec::Example(const std::string& text) const {
  FlagSpec flag = *this;
  flag.example = text;
  return flag;
}

FlagSpec FlagSpec::OneOf(const std::vector<std::string>& words) const {
  FlagSpec flag = *this;
  flag.choices = words;
  return flag;
}

FlagSpec FlagSpec::Of(ValueKind value_kind) const {
  FlagSpec flag = *this;
  flag.kind = value_kind;
  return flag;
}

FlagSpec FlagSpec::Needed() const {
  FlagSpec flag = *this;
  flag.needed = true;
  return flag;
}

const CommandSpec* FindCommand(const ProgramSpec& program,
                               const std::string& name) {
  const auto it = std::find_if(
      program.commands.begin(), program.commands.end(),
      [&](const CommandSpec& command) { return command.name == name; });
  return it == program.commands.end() ? nullptr : &*it;
}

// Reads one line.
class ArgumentsParser {
 public:
  ArgumentsParser(const ProgramSpec& program,
                  const std::vector<std::string>& words)
      : program_(program),
        words_(words),
        has_commands_(program.commands.size() != 1 ||
                      !program.commands[0].name.empty()) {}

  absl::StatusOr<Arguments> Parse() {
    const size_t at = CommandAt();
    if (AsksForHelpOrVersion(at)) return std::move(arguments_);
    RETURN_IF_ERROR(FindCommandAt(at));
    size_t operand = 0;
    bool flags_end = false;
    for (size_t i = 0; i < words_.size(); ++i) {
      if (has_commands_ && i == at) continue;
      if (!flags_end && words_[i] == "--") {
        flags_end = true;
      } else if (!flags_end && IsFlag(words_[i])) {
        RETURN_IF_ERROR(ReadFlag(&i));
      } else {
        RETURN_IF_ERROR(ReadOperand(words_[i], operand++));
      }
    }
    RETURN_IF_ERROR(CheckNeeded());
    KeepFallbacks();
    return std::move(arguments_);
  }

 private:
  // What a flag means depends on the command, so that is looked for first: the
  // first word that is neither a flag nor the value of one of every command.
  size_t CommandAt() const {
    size_t i = 0;
    while (i < words_.size() && IsFlag(words_[i])) {
      const bool apart = !absl::StrContains(words_[i], "=");
      const FlagSpec* flag = Named(words_[i], program_.flags);
      i += apart && flag != nullptr && !flag->value.empty() ? 2 : 1;
    }
    return std::min(i, words_.size());
  }

  bool AsksForHelpOrVersion(size_t at) {
    const std::string first = at < words_.size() ? words_[at] : "";
    // A program may have a command of that name, which does more.
    const bool is_word = (first == "help" || first == "version") &&
                         FindCommand(program_, first) == nullptr;
    if (is_word) arguments_.command_ = first;
    if (first == "help" && at + 1 < words_.size()) Topic(words_[at + 1]);
    if (words_.empty() && has_commands_) arguments_.command_ = "help";
    for (size_t i = 0; i < words_.size() && words_[i] != "--" && !is_word;
         ++i) {
      if (words_[i] == "--version") {
        arguments_.command_ = "version";
        arguments_.given_["version"] = {"true"};
      }
      if (words_[i] != "--help" && words_[i] != "-h") continue;
      arguments_.command_ = "help";
      if (has_commands_) Topic(first);
      break;
    }
    return !arguments_.command_.empty();
  }

  void Topic(const std::string& command) {
    arguments_.given_["command"] = {command};
  }

  absl::Status FindCommandAt(size_t at) {
    const std::string name =
        has_commands_ && at < words_.size() ? words_[at] : "";
    command_ = FindCommand(program_, name);
    if (command_ != nullptr) {
      arguments_.command_ = name;
      return absl::OkStatus();
    }
    std::vector<std::string> names;
    for (const CommandSpec& command : program_.commands) {
      names.push_back(command.name);
    }
    if (name.empty()) {
      return Usage(
          absl::StrCat("no command; there are ", absl::StrJoin(names, ", ")));
    }
    return Usage(absl::StrCat("there is no command \"", name, "\"",
                              DidYouMean(name, names)));
  }

  absl::Status Usage(const std::string& problem) const {
    const bool of_command = command_ != nullptr && !command_->name.empty();
    return absl::InvalidArgumentError(absl::StrCat(
        problem, " (see `", program_.name, has_commands_ ? " help" : " --help",
        of_command ? " " : "", of_command ? command_->name : "", "`)"));
  }

  // The flag of `flags` that a word names, with one dash or two.
  static const FlagSpec* Named(const std::string& word,
                               const std::vector<FlagSpec>& flags) {
    const std::string name = word.substr(0, word.find('='));
    if (!absl::StartsWith(name, "--")) {
      for (const FlagSpec& flag : flags) {
        if (flag.letter != 0 && name[1] == flag.letter) return &flag;
      }
    }
    return FindFlag(flags,
                    KeyOf(name.substr(absl::StartsWith(name, "--") ? 2 : 1)));
  }

  const FlagSpec* FlagOf(const std::string& word) {
    const FlagSpec* flag = Named(word, command_->flags);
    if (flag == nullptr) flag = Named(word, program_.flags);
    if (flag != nullptr) return flag;
    const std::string name = word.substr(word.find_first_not_of('-'));
    for (const std::string& operand : command_->operands) {
      if (KeyOf(name.substr(0, name.find('='))) != NameOfOperand(operand)) {
        continue;
      }
      operand_ = {NameOfOperand(operand), operand, ""};
      operand_.repeated = IsRepeated(operand);
      return &operand_;
    }
    return nullptr;
  }

  std::vector<std::string> FlagNames() const {
    std::vector<std::string> names = {"--help", "--version"};
    for (const auto* flags : {&command_->flags, &program_.flags}) {
      for (const FlagSpec& flag : *flags) names.push_back("--" + flag.name);
    }
    for (const std::string& operand : command_->operands) {
      names.push_back("--" + NameOfOperand(operand));
    }
    return names;
  }

  absl::Status ReadFlag(size_t* at) {
    const std::string& word = words_[*at];
    const size_t equals = word.find('=');
    const FlagSpec* flag = FlagOf(word);
    if (flag == nullptr) return ReadNegatedSwitch(word);
    std::string value =
        equals == std::string::npos ? "" : word.substr(equals + 1);
    const bool short_form = flag->letter != 0 && word[1] == flag->letter &&
                            word[1] != '-' && equals == std::string::npos;
    if (flag->value.empty()) {
      return ReadSwitch(*flag, equals == std::string::npos ? "true" : value);
    }
    if (short_form && word.size() > 2) {
      value = word.substr(2);
    } else if (equals == std::string::npos) {
      if (*at + 1 == words_.size()) {
        return Usage(absl::StrCat("--", flag->name, " needs a value"));
      }
      value = words_[++*at];
    }
    return Keep(*flag, value);
  }

  absl::Status ReadNegatedSwitch(const std::string& word) {
    const std::string name = word.substr(word.find_first_not_of('-'));
    if (absl::StartsWith(name, "no")) {
      const FlagSpec* flag = FlagOf("--" + name.substr(2));
      if (flag != nullptr && flag->value.empty()) {
        return ReadSwitch(*flag, "false");
      }
    }
    const std::string shown = "--" + name.substr(0, name.find('='));
    return Usage(absl::StrCat("there is no flag ", shown,
                              DidYouMean(shown, FlagNames())));
  }

  absl::Status ReadSwitch(const FlagSpec& flag, const std::string& value) {
    const auto on = ParseBool(value);
    if (!on.has_value()) {
      return Usage(absl::StrCat("--", flag.name, " takes no value"));
    }
    arguments_.given_.erase(KeyOf(flag.name));
    if (*on) arguments_.given_[KeyOf(flag.name)] = {"true"};
    return absl::OkStatus();
  }

  absl::Status ReadOperand(const std::string& word, size_t number) {
    const std::vector<std::string>& operands = command_->operands;
    if (number >= operands.size() &&
        (operands.empty() || !IsRepeated(operands.back()))) {
      return Usage(absl::StrCat("\"", word, "\" is one word too many"));
    }
    const std::string& operand =
        operands[std::min(number, operands.size() - 1)];
    const std::string name = NameOfOperand(operand);
    const FlagSpec* flag = FindFlag(command_->flags, name);
    FlagSpec own{name, "VALUE", ""};
    own.repeated = IsRepeated(operand);
    return Keep(flag != nullptr ? *flag : own, word);
  }

  absl::Status Keep(const FlagSpec& flag, const std::string& value) {
    RETURN_IF_ERROR(CheckValue(flag, value));
    std::vector<std::string>& values = arguments_.given_[KeyOf(flag.name)];
    if (!flag.repeated) values.clear();
    values.push_back(value);
    return absl::OkStatus();
  }

  absl::Status CheckValue(const FlagSpec& flag,
                          const std::string& value) const {
    const auto& choices = flag.choices;
    if (!choices.empty() &&
        std::find(choices.begin(), choices.end(), value) == choices.end()) {
      return Usage(absl::StrCat("--", flag.name, "=", value, " is none of ",
                                absl::StrJoin(choices, ", "),
                                DidYouMean(value, choices)));
    }
    if (const std::string wrong = KindError(flag.kind, value); !wrong.empty()) {
      return Usage(
          absl::StrCat("--", flag.name, "=", value, " is not ", wrong));
    }
    return absl::OkStatus();
  }

  absl::Status CheckNeeded() const {
    std::vector<std::string> needed;
    for (const std::string& operand : command_->operands) {
      if (!IsOptional(operand)) needed.push_back(NameOfOperand(operand));
    }
    for (const FlagSpec& flag : command_->flags) {
      if (flag.needed) needed.push_back(flag.name);
    }
    for (const std::string& name : needed) {
      const auto given = arguments_.given_.find(KeyOf(name));
      if (given != arguments_.given_.end() && !given->second.back().empty()) {
        continue;
      }
      return Usage(absl::StrCat("--", name, " is missing"));
    }
    return absl::OkStatus();
  }

  void KeepFallbacks() {
    for (const auto* flags : {&command_->flags, &program_.flags}) {
      for (const FlagSpec& flag : *flags) {
        const char* variable =
            flag.variable == nullptr ? nullptr : std::getenv(flag.variable);
        arguments_.fallbacks_[KeyOf(flag.name)] =
            variable == nullptr ? flag.fallback : variable;
      }
    }
  }

  const ProgramSpec& program_;
  const std::vector<std::string>& words_;
  const bool has_commands_;
  const CommandSpec* command_ = nullptr;
  FlagSpec operand_;
  Arguments arguments_;
};

absl::StatusOr<Arguments> Arguments::Parse(
    const ProgramSpec& program, const std::vector<std::string>& words) {
  return ArgumentsParser(program, words).Parse();
}

bool Arguments::Has(const std::string& flag) const {
  return given_.count(KeyOf(flag)) > 0;
}

std::string Arguments::Get(const std::string& flag) const {
  const auto given = given_.find(KeyOf(flag));
  if (given != given_.end()) return given->second.back();
  const auto fallback = fallbacks_.find(KeyOf(flag));
  return fallback == fallbacks_.end() ? "" : fallback->second;
}

std::vector<std::string> Arguments::All(const std::string& flag) const {
  const auto given = given_.find(KeyOf(flag));
  return given == given_.end() ? std::vector<std::string>() : given->second;
}

std::vector<std::string> Arguments::List(const std::string& flag) const {
  return absl::StrSplit(Get(flag), ',', absl::SkipEmpty());
}

int64_t Arguments::Int(const std::string& flag) const {
  int64_t value = 0;
  return absl::SimpleAtoi(Get(flag), &value) ? value : 0;
}

double Arguments::Number(const std::string& flag) const {
  double value = 0;
  return absl::SimpleAtod(Get(flag), &value) ? value : 0;
}

absl::Duration Arguments::Duration(const std::string& flag) const {
  absl::Duration value;
  return absl::ParseDuration(Get(flag), &value) ? value : absl::ZeroDuration();
}

}  // namespace sinkwatch::base
