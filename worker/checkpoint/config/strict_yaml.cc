#include "worker/checkpoint/config/strict_yaml.h"

#include <cstdint>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

size_t NumDigits(absl::string_view text) {
  size_t n = 0;
  while (n < text.size() && absl::ascii_isdigit(text[n])) ++n;
  return n;
}

bool IsDecimalInteger(absl::string_view text) {
  const size_t digits = NumDigits(text);
  return digits > 0 && digits == text.size() && (text[0] != '0' || digits == 1);
}

// Digits with a dot or an exponent, or both.
bool IsDecimalFloat(absl::string_view text) {
  const size_t whole = NumDigits(text);
  text.remove_prefix(whole);
  size_t fraction = 0;
  const bool has_dot = !text.empty() && text[0] == '.';
  if (has_dot) {
    text.remove_prefix(1);
    fraction = NumDigits(text);
    text.remove_prefix(fraction);
  }
  if (whole + fraction == 0) return false;
  if (text.empty()) return has_dot;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    text.remove_prefix(1);
  }
  return !text.empty() && NumDigits(text) == text.size();
}

Json PlainScalar(const std::string& text) {
  if (text.empty()) return nullptr;
  const std::string lower = absl::AsciiStrToLower(text);
  // One spelling in three of each is a word: "true", "True", "TRUE".
  const bool is_word = text == lower || text == absl::AsciiStrToUpper(text) ||
                       text.substr(1) == lower.substr(1);
  if (is_word && (lower == "null" || lower == "~")) return nullptr;
  if (is_word && (lower == "true" || lower == "yes" || lower == "on")) {
    return true;
  }
  if (is_word && (lower == "false" || lower == "no" || lower == "off")) {
    return false;
  }
  absl::string_view digits = text;
  if (absl::StartsWith(digits, "-") || absl::StartsWith(digits, "+")) {
    digits.remove_prefix(1);
  }
  int64_t integer = 0;
  if (IsDecimalInteger(digits) && absl::SimpleAtoi(text, &integer)) {
    return integer;
  }
  double number = 0;
  if (IsDecimalFloat(digits) && absl::SimpleAtod(text, &number)) return number;
  return text;
}

// Builds the tree as the events come; after the first error, nothing more.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const YamlLimits& limits) : limits_(limits) {}

  const absl::Status& status() const { return status_; }
  Json TakeRoot() { return std::move(root_); }
  const std::string& last_key() const { return last_key_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++num_documents_ > 1) Fail(mark, "a second document");
  }
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "an alias");
  }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    Fail(mark, "an anchor");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (!IsKeyNext()) {
      Add(mark, nullptr);
    } else {
      Fail(mark, "a key that is null");
    }
  }
  // Tag "?" is a plain scalar, "!" a quoted one.
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    if (tag != "?" && tag != "!") return Fail(mark, "a tag");
    if (IsKeyNext()) return AddKey(mark, value);
    Add(mark, tag == "?" ? PlainScalar(value) : Json(value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t, YAML::EmitterStyle::value) override {
    Open(mark, tag, Json::array());
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t, YAML::EmitterStyle::value) override {
    Open(mark, tag, Json::object());
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    Json* container;
    std::string key;
    bool has_key = false;
  };

  void Fail(const YAML::Mark& mark, absl::string_view what) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(
        absl::StrCat("line ", mark.line + 1, ": ", what, ", not in a config"));
  }

  bool IsKeyNext() const {
    return status_.ok() && !open_.empty() &&
           open_.back().container->is_object() && !open_.back().has_key;
  }

  void AddKey(const YAML::Mark& mark, const std::string& key) {
    Level& level = open_.back();
    if (key == "<<") return Fail(mark, "a merge key");
    if (level.container->contains(key)) {
      return Fail(mark,
                  absl::StrCat("key ", files::Quoted(key), " a second time"));
    }
    level.key = key;
    level.has_key = true;
    if (open_.size() == 1) last_key_ = key;
  }

  // Puts `value` where it belongs; nullptr after an error.
  Json* Add(const YAML::Mark& mark, Json value) {
    if (!status_.ok()) return nullptr;
    if (++num_values_ > limits_.values) {
      status_ = absl::ResourceExhaustedError(
          absl::StrCat("more than ", limits_.values, " values"));
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Level& level = open_.back();
    if (level.container->is_array()) {
      level.container->push_back(std::move(value));
      return &level.container->back();
    }
    if (!level.has_key) {
      Fail(mark, "a key that is no scalar");
      return nullptr;
    }
    level.has_key = false;
    return &((*level.container)[level.key] = std::move(value));
  }

  void Open(const YAML::Mark& mark, const std::string& tag, Json container) {
    if (tag != "?" && !tag.empty()) return Fail(mark, "a tag");
    if (status_.ok() && open_.size() >= limits_.depth) {
      status_ = absl::ResourceExhaustedError(
          absl::StrCat("line ", mark.line + 1, ": nested deeper than ",
                       limits_.depth, " levels"));
    }
    Json* added = Add(mark, std::move(container));
    if (added != nullptr) open_.push_back({added, "", false});
  }

  void Close() {
    if (status_.ok()) open_.pop_back();
  }

  const YamlLimits limits_;
  Json root_;
  std::vector<Level> open_;
  std::string last_key_;
  size_t num_values_ = 0;
  int num_documents_ = 0;
  absl::Status status_;
};

absl::Status CheckText(absl::string_view text, const YamlLimits& limits) {
  if (text.size() > limits.bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", limits.bytes, " bytes"));
  }
  if (absl::StrContains(text, '\0')) {
    return absl::InvalidArgumentError("a NUL byte, not text");
  }
  const bool is_marked = absl::StartsWith(text, "\xef\xbb\xbf") ||
                         absl::StartsWith(text, "\xff\xfe") ||
                         absl::StartsWith(text, "\xfe\xff");
  if (is_marked) return absl::InvalidArgumentError("a byte order mark");
  if (text.empty()) return absl::OutOfRangeError("is empty");
  return absl::OkStatus();
}

// The one wall for what yaml-cpp throws.
absl::Status ParseEvents(absl::string_view text, TreeBuilder& builder) {
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    while (builder.status().ok() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    if (!builder.status().ok()) return builder.status();
    // yaml-cpp quotes the text as it is.
    const std::string message = absl::StrCat("line ", error.mark.line + 1, ": ",
                                             absl::CHexEscape(error.msg));
    const bool at_end = error.mark.pos >= static_cast<int>(text.size());
    return at_end ? absl::OutOfRangeError(message)
                  : absl::InvalidArgumentError(message);
  }
  return builder.status();
}

}  // namespace

absl::StatusOr<YamlDocument> ParseYamlObject(absl::string_view text,
                                             const YamlLimits& limits) {
  if (absl::Status s = CheckText(text, limits); !s.ok()) return s;
  TreeBuilder builder(limits);
  absl::Status parsed = ParseEvents(text, builder);
  YamlDocument document;
  document.root = builder.TakeRoot();
  document.last_key = builder.last_key();
  if (parsed.ok() && !document.root.is_object()) {
    parsed = absl::InvalidArgumentError("is no map of keys and values");
  }
  // Half a line may say anything: `alibi` may become `alibi_bias_max`.
  if (absl::IsInvalidArgument(parsed) && text.back() != '\n') {
    return absl::OutOfRangeError(parsed.message());
  }
  if (!parsed.ok()) return parsed;
  return document;
}

}  // namespace sinkwatch::checkpoint
