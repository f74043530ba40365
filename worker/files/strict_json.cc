#include "worker/files/strict_json.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
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
  if (absl::Status s = CheckJsonObjectText(text); !s.ok()) return s;
  Checker checker(text, limits);
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) {
    return checker.status();
  }
  return Json::parse(text.begin(), text.end(), nullptr,
                     /*allow_exceptions=*/false);
}

}  // namespace sinkwatch::files
