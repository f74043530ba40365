#include "proto/base/step_name.h"

#include <cmath>
#include <regex>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace sinkwatch::base {
namespace {

constexpr size_t kMaxName = 200;

// What stands before and behind the name of what is under way.
constexpr const char* kUnderWayStarts[] = {"tmp", "_tmp", "_temp", ".tmp",
                                           ".~tmp~"};
constexpr const char* kUnderWayEnds[] = {
    "-tmp",        ".tmp",        "_tmp",         "-temp",      ".temp",
    "_temp",       ".incomplete", ".part",        ".partial",   ".filepart",
    ".crdownload", ".aria2",      ".downloading", "._COPYING_", ".lock"};
constexpr double kMaxCount = 9e18;

double FactorOf(const std::string& unit) {
  switch (unit.empty() ? ' ' : absl::ascii_toupper(unit[0])) {
    case 'K':
      return 1e3;
    case 'M':
      return 1e6;
    case 'B':
      return 1e9;
    case 'T':
      return 1e12;
    default:
      return 1;
  }
}

// digits, perhaps with decimals, times the unit; none beyond 64 bits.
std::optional<int64_t> Count(const std::string& digits,
                             const std::string& unit) {
  int64_t whole = 0;
  if (unit.empty()) {
    if (absl::SimpleAtoi(digits, &whole)) return whole;
    return std::nullopt;
  }
  double value = 0;
  if (!absl::SimpleAtod(digits, &value)) return std::nullopt;
  value *= FactorOf(unit);
  const double rounded = std::round(value);
  if (value > kMaxCount || std::abs(value - rounded) > 1e-3) {
    return std::nullopt;
  }
  return static_cast<int64_t>(rounded);
}

// A count that does not fit is not known.
int64_t TokenCount(const std::string& digits, const std::string& unit) {
  return Count(digits, unit).value_or(0);
}

// Whether a number is a day (20251101, with a time behind it or not) or seconds
// since 1970: no step is.
bool IsTime(const std::string& number) {
  static const auto& kDay = *new std::regex(
      R"((?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4}|\d{6})?)");
  static const auto& kSeconds = *new std::regex(R"(1[4-9]\d{8})");
  return std::regex_match(number, kDay) || std::regex_match(number, kSeconds);
}

// --- the names of OLMo's series, word by word --------------------------------

std::optional<StepName> ParseExactName(const std::string& name) {
  static const auto& kPattern = *new std::regex(
      R"((?:(stage\d+(?:-ingredient\d+(?:\+\d+)*)?|ingredient\d+(?:\+\d+)*)-)?)"
      R"((step|checkpoint|ckpt)([-_]?)(\d+))"
      R"((?:-tokens(\d+)([KMBT]?))?)"
      R"(((?:\+\d+)*(?:-nooptim)?(?:-reshard\d+)?)(-unsharded)?(-hf)?)");
  std::smatch match;
  if (!std::regex_match(name, match, kPattern)) return std::nullopt;
  if (match[2].str() != "step" && IsTime(match[4].str())) return std::nullopt;
  StepName parsed;
  if (match[2].str() == "checkpoint" && match[3].str() == "-") {
    parsed.form = NameForm::kCheckpoint;
  }
  parsed.stage = match[1].str();
  if (!absl::SimpleAtoi(match[4].str(), &parsed.step)) return std::nullopt;
  if (match[5].matched) {
    parsed.tokens = TokenCount(match[5].str(), match[6].str());
  }
  parsed.variant = std::string(absl::StripPrefix(match[7].str(), "-"));
  parsed.unsharded = match[8].matched;
  parsed.converted = match[9].matched;
  return parsed;
}

// --- every other name --------------------------------------------------------

// A number in a name, and what stands around it.
struct Place {
  std::string before;
  std::string word;  // in lower case
  std::string digits;
  std::string unit;
  std::string after;
  bool is_weak = false;  // the word proves little
};

bool IsLetter(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) != 0;
}

// 1_000, of which nobody knows whether it is a thousand or part 0 of step 1,
// and 1,000.
bool IsThousands(const std::string& digits, const std::string& after) {
  static const auto& kMore = *new std::regex(R"([_,]\d{3}(?!\d).*)");
  return digits.size() <= 3 && digits[0] != '0' &&
         std::regex_match(after, kMore);
}

// Whether a number behind a word that says "when" as often as "which"
// (checkpoint_20251101, ckpt_2025-11-01_10-00) begins a day.
bool IsDay(const std::string& word, const std::string& digits,
           const std::string& after) {
  static const auto& kWords =
      *new std::regex(R"((?:ckpt|checkpoint|chkpt|chkpnt|snapshot|save))");
  static const auto& kMonth = *new std::regex(
      R"([-_.](?:0[1-9]|1[0-2])[-_.](?:0[1-9]|[12]\d|3[01])(?!\d).*)");
  if (!std::regex_match(word, kWords)) return false;
  const bool is_year = digits.size() == 4 && (absl::StartsWith(digits, "19") ||
                                              absl::StartsWith(digits, "20"));
  return IsTime(digits) || (is_year && std::regex_match(after, kMonth));
}

// The last place that `pattern` (groups: word, digits, unit, another
// unit) means, where no
// letter stands before it and neither letter nor digit after it.
std::optional<Place> FindLast(const std::string& text,
                              const std::regex& pattern) {
  std::optional<Place> last;
  const auto end = std::sregex_iterator();
  for (std::sregex_iterator at(text.begin(), text.end(), pattern); at != end;
       ++at) {
    const std::smatch& match = *at;
    const std::string before = text.substr(0, match.position());
    const std::string after = text.substr(match.position() + match.length());
    if (!before.empty() && IsLetter(before.back())) continue;
    if (!after.empty() &&
        absl::ascii_isalnum(static_cast<unsigned char>(after.front()))) {
      continue;
    }
    // 1.5 is no step.
    if (after.size() > 1 && after[0] == '.' &&
        absl::ascii_isdigit(static_cast<unsigned char>(after[1]))) {
      continue;
    }
    if (IsThousands(match[2].str(), after)) continue;
    const std::string word = absl::AsciiStrToLower(match[1].str());
    if (IsDay(word, match[2].str(), after)) continue;
    std::string unit = match[3].str();
    if (match.size() > 4) absl::StrAppend(&unit, match[4].str());
    last = Place{before, word, match[2].str(), std::move(unit), after};
  }
  return last;
}

// Patterns are never destroyed: a thread that a file system has held until the
// end may still read a name.
constexpr auto kIcase = std::regex::icase | std::regex::ECMAScript;

std::optional<Place> FindStep(const std::string& text) {
  // fairseq's checkpoint_3_50000 is epoch 3, update 50000.
  static const auto& kFairseq = *new std::regex(
      R"((checkpoint)_(?!(?:19|20)\d\d(?:_|[01]\d[0-3]\d))\d+_(\d+)())",
      kIcase);
  static const auto& kWordFirst = *new std::regex(
      R"((global_?step|step|iter|iteration|ckpt|checkpoint|update|batch|ba))"
      R"([-_=]?(\d+)([km]?))",
      kIcase);
  static const auto& kNumberFirst = *new std::regex(
      R"(()(\d+)([km]?)[-_]?(?:steps|iters|iterations|updates))", kIcase);
  // What people write themselves.
  static const auto& kWeak = *new std::regex(
      R"((n?steps|iters|iterations|updates|trainstep|chkpt|chkpnt|snapshot|save))"
      R"([-_=]?(\d+)([km]?))",
      kIcase);
  for (const std::regex* pattern :
       {&kFairseq, &kWordFirst, &kNumberFirst, &kWeak}) {
    auto place = FindLast(text, *pattern);
    if (!place.has_value()) continue;
    place->is_weak = pattern == &kWeak;
    return place;
  }
  return std::nullopt;
}

std::optional<Place> FindEpoch(const std::string& text) {
  static const auto& kEpoch =
      *new std::regex(R"((epoch|ep)[-_=]?(\d+)())", kIcase);
  return FindLast(text, kEpoch);
}

std::optional<Place> FindTokens(const std::string& text) {
  static const auto& kWordFirst =
      *new std::regex(R"((tokens?)[-_=]?(\d+(?:\.\d+)?))"
                      R"((?:[-_]?(million|billion|trillion)|([kmbt]?)))",
                      kIcase);
  static const auto& kNumberFirst =
      *new std::regex(R"(()(\d+(?:\.\d+)?))"
                      R"((?:[-_]?(million|billion|trillion)|([kmbt])))"
                      R"([-_]?(?:tokens?))",
                      kIcase);
  // 2BT, 3T: billions and trillions of tokens.
  static const auto& kShort =
      *new std::regex(R"(()(\d+(?:\.\d+)?)([kmb]t|t))", kIcase);
  // No step has so large a unit, and no vocabulary.
  static const auto& kLarge = *new std::regex(
      R"((checkpoint|ckpt|toks?)[-_=]?(\d+(?:\.\d+)?)([bt]))", kIcase);
  static const auto& kLargeFirst =
      *new std::regex(R"(()(\d+(?:\.\d+)?)([bt])[-_]?(?:toks?))", kIcase);
  for (const std::regex* pattern :
       {&kWordFirst, &kNumberFirst, &kShort, &kLarge, &kLargeFirst}) {
    if (auto place = FindLast(text, *pattern)) return place;
  }
  return std::nullopt;
}

std::string Stripped(const std::string& text) {
  const size_t first = text.find_first_not_of("-_.=");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of("-_.=") - first + 1);
}

// Takes every match out; whether there was one.
bool Take(const std::regex& pattern, std::string* text) {
  const std::string taken = std::regex_replace(*text, pattern, "");
  const bool was_there = taken != *text;
  *text = taken;
  return was_there;
}

// Takes the seed out, the first group of `pattern`.
void TakeSeed(const std::regex& pattern, std::string* text, std::string* seed) {
  std::smatch match;
  if (!std::regex_search(*text, match, pattern)) return;
  *seed = Stripped(match[1].str());
  *text = absl::StrCat(match.prefix().str(), match.suffix().str());
}

// Pairs and epochs, which differ from one checkpoint to the next
// (val_loss=2.31), and words that every checkpoint has.
void TakeNoise(std::string* text) {
  static const auto& kPairs =
      *new std::regex(R"([A-Za-z_]+=[-+]?[0-9.]+(e[-+]?\d+)?)");
  // loss-2.31, val_ppl_12.3: the same without a sign.
  static const auto& kMetrics = *new std::regex(
      R"((^|[-_.])(?:(?:val|valid|eval|test|train)(?:ation)?[-_]?)?)"
      R"((?:loss|ppl|perplexity|acc|accuracy|bpb|bpc|nll|ce|score|reward))"
      R"([-_]?\d+(?:\.\d+)?(?=$|[-_.]))",
      kIcase);
  static const auto& kEpochs = *new std::regex(
      R"((^|[-_.])(epoch|ep)[-_=]?\d+(epochstep\d+)?(?![0-9A-Za-z]))", kIcase);
  static const auto& kWords = *new std::regex(
      R"((^|[-_.])(model|state|checkpoints?|ckpts?|pth?|weights|params|train|steps?)"
      R"(|iter|hf|n|num)(?=$|[-_.]))",
      kIcase);
  Take(kEpochs, text);
  Take(kPairs, text);
  Take(kMetrics, text);
  Take(kWords, text);
}

void TakeTokens(std::string* text, StepName* parsed) {
  if (parsed->tokens != 0) return;
  const auto tokens = FindTokens(*text);
  if (!tokens.has_value()) return;
  parsed->tokens = TokenCount(tokens->digits, tokens->unit);
  *text = absl::StrCat(tokens->before, tokens->after);
}

// Of TinyLlama's step-50K-105b, behind a step with a unit, the second number.
void TakeBareTokens(std::string* after, StepName* parsed) {
  static const auto& kBare =
      *new std::regex(R"(^[-_](\d+(?:\.\d+)?)(b)(?=$|[-_.]))", kIcase);
  std::smatch match;
  if (!std::regex_search(*after, match, kBare)) return;
  parsed->tokens = TokenCount(match[1].str(), match[2].str());
  *after = match.suffix().str();
}

void ReadAround(std::string before, std::string after, StepName* parsed) {
  static const auto& kConverted = *new std::regex(R"((^|[-_.])hf$)", kIcase);
  static const auto& kUnsharded =
      *new std::regex(R"((^|[-_.])unsharded(?=$|[-_.]))", kIcase);
  // Everything after the word where no step follows, else a number.
  static const auto& kSeedLast =
      *new std::regex(R"((?:^|[-_.])seed[-_=]?(.+))", kIcase);
  static const auto& kSeedFirst =
      *new std::regex(R"((?:^|[-_.])seed[-_=]?(\d+))", kIcase);
  TakeTokens(&after, parsed);
  TakeTokens(&before, parsed);
  parsed->converted = Take(kConverted, &after);
  parsed->unsharded = Take(kUnsharded, &after);
  TakeSeed(kSeedLast, &after, &parsed->seed);
  if (parsed->seed.empty()) TakeSeed(kSeedFirst, &before, &parsed->seed);
  TakeNoise(&before);
  TakeNoise(&after);
  parsed->stage = Stripped(before);
  parsed->variant = Stripped(after);
}

bool IsPlain(const std::string& name) {
  if (name.empty() || name.size() > kMaxName || name[0] == '.') return false;
  for (unsigned char c : name) {
    if (absl::ascii_iscntrl(c) || c == ' ' || c == '/') return false;
  }
  return true;
}

bool IsNumber(const std::string& text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

std::optional<StepName> ParseAnyName(const std::string& name) {
  StepName parsed;
  parsed.form = NameForm::kLoose;
  if (IsNumber(name)) {
    if (IsTime(name)) return std::nullopt;
    if (!absl::SimpleAtoi(name, &parsed.step)) return std::nullopt;
    return parsed;
  }
  auto place = FindStep(name);
  if (!place.has_value() && (place = FindTokens(name))) {
    parsed.axis = StepAxis::kTokens;
  }
  if (!place.has_value() && (place = FindEpoch(name))) {
    parsed.axis = StepAxis::kEpochs;
  }
  if (!place.has_value()) return std::nullopt;
  const auto step = Count(place->digits, place->unit);
  if (!step.has_value()) return std::nullopt;
  parsed.step = *step;
  if (parsed.axis == StepAxis::kTokens) parsed.tokens = *step;
  const bool is_rounded_step =
      parsed.axis == StepAxis::kSteps && !place->unit.empty();
  if (is_rounded_step) TakeBareTokens(&place->after, &parsed);
  ReadAround(place->before, place->after, &parsed);
  const bool is_bare = parsed.axis == StepAxis::kSteps && !place->is_weak &&
                       place->before.empty() && place->after.empty();
  if (is_bare) {
    parsed.form = absl::StartsWith(place->word, "global")
                      ? NameForm::kGlobalStep
                      : NameForm::kStep;
  }
  return parsed;
}

// Whether the word stands somewhere with a digit behind it.
bool HoldsNumbered(const std::string& name, absl::string_view word) {
  for (size_t at = name.find(word.data(), 0, word.size());
       at != std::string::npos;
       at = name.find(word.data(), at + 1, word.size())) {
    const size_t behind = at + word.size();
    if (behind < name.size() &&
        absl::ascii_isdigit(static_cast<unsigned char>(name[behind]))) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<StepName> ParseStepName(const std::string& name) {
  if (!IsPlain(name) || IsUnderWay(name)) return std::nullopt;
  if (auto exact = ParseExactName(name)) return exact;
  return ParseAnyName(name);
}

std::optional<StepName> ParseStepFile(const std::string& name) {
  static const auto& kFile =
      *new std::regex(R"((.+)\.(pt|pth|ckpt|bin|safetensors))");
  static const auto& kOther = *new std::regex(
      R"((?:^|[-_.])(?:optim(?:izer)?s?|rank\d*|shard|model_part|rng|scheduler|ema_?state|of)(?:[-_.]|\d|$))",
      kIcase);
  std::smatch match;
  if (!IsPlain(name) || IsUnderWay(name) ||
      !std::regex_match(name, match, kFile)) {
    return std::nullopt;
  }
  const std::string stem = match[1].str();
  // 00001.bin is a part of anything.
  if (std::regex_search(stem, kOther) ||
      (IsNumber(stem) && match[2] == "bin")) {
    return std::nullopt;
  }
  if (auto parsed = ParseStepName(stem)) {
    parsed->form = NameForm::kLoose;
    return parsed;
  }
  // nanochat's model_000100.pt.
  static const auto& kModel = *new std::regex(R"(model[-_](\d+))", kIcase);
  StepName parsed;
  parsed.form = NameForm::kLoose;
  if (!std::regex_match(stem, match, kModel) ||
      !absl::SimpleAtoi(match[1].str(), &parsed.step)) {
    return std::nullopt;
  }
  return parsed;
}

std::optional<int64_t> ParseCount(const std::string& text) {
  static const auto& kCount =
      *new std::regex(R"((\d+(?:\.\d+)?)([kmbt]?)t?)", kIcase);
  std::smatch match;
  if (text.size() > kMaxName || !std::regex_match(text, match, kCount)) {
    return std::nullopt;
  }
  return Count(match[1].str(), match[2].str());
}

bool IsUnderWay(const std::string& name) {
  for (const char* start : kUnderWayStarts) {
    if (absl::StartsWith(name, start)) return true;
  }
  for (const char* end : kUnderWayEnds) {
    if (absl::EndsWith(name, end)) return true;
  }
  return absl::StrContains(name, "-checkpoint-tmp-");  // Orbax
}

std::string WithoutUnderWay(const std::string& name) {
  absl::string_view rest = name;
  for (const char* start : kUnderWayStarts) {
    if (!absl::ConsumePrefix(&rest, start)) continue;
    if (!rest.empty() && (rest[0] == '-' || rest[0] == '_')) {
      rest.remove_prefix(1);
    }
    break;
  }
  for (const char* end : kUnderWayEnds) absl::ConsumeSuffix(&rest, end);
  return std::string(rest);
}

bool IsStageFolder(const std::string& name) {
  if (name.size() > kMaxName || IsUnderWay(name) || name.front() == '.' ||
      name.find_first_of("\n\r") != std::string::npos) {
    return false;
  }
  return name == "soup" || name == "souped" || HoldsNumbered(name, "stage") ||
         HoldsNumbered(name, "ingredient");
}

}  // namespace sinkwatch::base
