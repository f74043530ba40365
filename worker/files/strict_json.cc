#include "worker/files/strict_json.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::files {
namespace {

using Json = nlohmann::json;

// Looks for what the library lets pass: repeated keys, depth, number of values.
class Checker : public nlohmann::json_sax<Json> {
 public:
  Checker(absl::string_view text, const JsonLimits& limits)
      : text_(text), limits_(limits) {}

  const absl::Status& status() const { return status_; }

  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(number_integer_t) override { return Value(); }
  bool number_unsigned(number_unsigned_t) override { return Value(); }
  bool number_float(number_float_t, const string_t&) override {
    return Value();
  }
  bool string(string_t&) override { return Value(); }
  bool binary(binary_t&) override { return Value(); }
  bool start_object(size_t) override { return Enter(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }

  bool key(string_t& key) override {
    if (keys_.back().insert(key).second) return true;
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("key ", Quoted(key), " is there twice in one object")));
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(JsonSyntaxError(position, text_));
  }

 private:
  bool Fail(absl::Status status) {
    status_ = std::move(status);
    return false;
  }

  bool Value() {
    if (++num_values_ <= limits_.values) return true;
    return Fail(absl::ResourceExhaustedError(
        absl::StrCat("more than ", limits_.values, " values")));
  }

  bool Enter() {
    keys_.emplace_back();
    if (keys_.size() <= limits_.depth) return Value();
    return Fail(absl::ResourceExhaustedError(
        absl::StrCat("nested deeper than ", limits_.depth, " levels")));
  }

  bool Leave() {
    keys_.pop_back();
    return true;
  }

  const absl::string_view text_;
  const JsonLimits limits_;
  size_t num_values_ = 0;
  std::vector<absl::flat_hash_set<std::string>> keys_;  // of the open objects
  absl::Status status_;
};

// Python's numbers that JSON has not, and strings of the same length, so that
// positions in messages stay, which no config has: of DEL alone.
struct PythonNumber {
  absl::string_view text;
  absl::string_view stand_in;
  double value;
};
constexpr PythonNumber kPythonNumbers[] = {
    {"NaN", "\"\x7f\"", std::numeric_limits<double>::quiet_NaN()},
    {"Infinity", "\"\x7f\x7f\x7f\x7f\x7f\x7f\"",
     std::numeric_limits<double>::infinity()},
    {"-Infinity", "\"\x7f\x7f\x7f\x7f\x7f\x7f\x7f\"",
     -std::numeric_limits<double>::infinity()},
};

// The one that `text` begins with, as a whole word; nullptr if there is none.
const PythonNumber* PythonNumberAt(absl::string_view text) {
  for (const PythonNumber& number : kPythonNumbers) {
    if (!absl::StartsWith(text, number.text)) continue;
    const size_t end = number.text.size();
    const bool whole = end == text.size() ||
                       std::isalnum(static_cast<unsigned char>(text[end])) == 0;
    return whole ? &number : nullptr;
  }
  return nullptr;
}

// Whether `text` is the beginning of one, cut off.
bool IsCutPythonNumber(absl::string_view text) {
  return std::any_of(std::begin(kPythonNumbers), std::end(kPythonNumbers),
                     [&](const PythonNumber& number) {
                       return text.size() < number.text.size() &&
                              absl::StartsWith(number.text, text);
                     });
}

// Whether what is before `rest` would be a key of an object.
bool IsKey(absl::string_view rest) {
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(rest), ":");
}

// `text` with stand-ins where such a number stands outside of a string, and
// without one that is cut off at its end. `found`: whether there was one.
std::string WithStandIns(absl::string_view text, bool& found) {
  std::string out(text);
  bool in_string = false;
  for (size_t i = 0; i < out.size(); ++i) {
    if (in_string && out[i] == '\\') {
      ++i;
    } else if (out[i] == '"') {
      in_string = !in_string;
    } else if (!in_string) {
      const absl::string_view rest = absl::ClippedSubstr(out, i);
      if (IsCutPythonNumber(rest)) return out.substr(0, i);
      const PythonNumber* number = PythonNumberAt(rest);
      if (number == nullptr || IsKey(rest.substr(number->text.size()))) {
        continue;
      }
      out.replace(i, number->text.size(), std::string(number->stand_in));
      i += number->stand_in.size() - 1;
      found = true;
    }
  }
  return out;
}

// Strings that are stand-ins become their numbers.
void PutNumbers(Json& value) {
  for (Json& part : value) {
    if (part.is_structured()) PutNumbers(part);
    if (!part.is_string()) continue;
    const std::string text = absl::StrCat("\"", part.get<std::string>(), "\"");
    for (const PythonNumber& number : kPythonNumbers) {
      if (text == number.stand_in) part = number.value;
    }
  }
}

absl::StatusOr<Json> ParseObject(absl::string_view text,
                                 const JsonLimits& limits) {
  if (absl::Status s = CheckJsonObjectText(text); !s.ok()) return s;
  Checker checker(text, limits);
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) {
    return checker.status();
  }
  return Json::parse(text.begin(), text.end(), nullptr,
                     /*allow_exceptions=*/false);
}

}  // namespace

std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxShown = 80;
  std::string shown = absl::CEscape(text.substr(0, kMaxShown));
  return absl::StrCat("'", shown, text.size() > kMaxShown ? "..." : "", "'");
}

absl::Status JsonSyntaxError(size_t position, absl::string_view text) {
  // The library counts the end of the text as one more byte read.
  if (position > text.size()) {
    return absl::OutOfRangeError(absl::StrCat("JSON ends at byte ", text.size(),
                                              ", before its object does"));
  }
  constexpr size_t kShown = 12;
  const size_t at = position == 0 ? 0 : position - 1;
  return absl::InvalidArgumentError(
      absl::StrCat("not JSON at byte ", position, ", near ",
                   Quoted(text.substr(at, kShown))));
}

absl::Status CheckJsonObjectText(absl::string_view text) {
  if (text.empty()) return absl::OutOfRangeError("empty");
  if (size_t nul = text.find('\0'); nul != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON: NUL at byte ", nul));
  }
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == absl::string_view::npos) {
    return absl::OutOfRangeError("nothing but white space");
  }
  if (text[first] != '{') {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a JSON object: byte ", first, " is not an opening brace"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> ParseJsonObject(absl::string_view text,
                                     const JsonLimits& limits) {
  if (!limits.python_numbers) return ParseObject(text, limits);
  bool found = false;
  const std::string standing_in = WithStandIns(text, found);
  absl::StatusOr<Json> json = ParseObject(standing_in, limits);
  if (json.ok() && found) PutNumbers(*json);
  return json;
}

}  // namespace sinkwatch::files
