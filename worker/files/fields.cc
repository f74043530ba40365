#include "worker/files/fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::files {
namespace {

using Json = nlohmann::json;

const Json& EmptyObject() {
  static const Json* const empty = new Json(Json::object());
  return *empty;
}

const Json& EmptyArray() {
  static const Json* const empty = new Json(Json::array());
  return *empty;
}

}  // namespace

Fields::Fields(const Json& object, std::string where, std::string file)
    : Fields(object, std::move(where), std::move(file),
             std::make_shared<absl::Status>()) {}

Fields::Fields(const Json& object, std::string where, std::string file,
               std::shared_ptr<absl::Status> status)
    : object_(object.is_object() ? object : EmptyObject()),
      where_(std::move(where)),
      file_(std::move(file)),
      status_(std::move(status)) {
  if (!object.is_object()) Fail("", "must be an object");
}

Fields Fields::Part(const Json& object, absl::string_view where) const {
  return Fields(object, PlaceOf(where), file_, status_);
}

Fields Fields::Section(const char* key) {
  return Part(Has(key) ? Object(key) : EmptyObject(), key);
}

Fields Fields::RequiredSection(const char* key) {
  return Part(Object(key), key);
}

std::string Fields::PlaceOf(absl::string_view key) const {
  if (key.empty()) return where_;
  return where_.empty() ? std::string(key) : absl::StrCat(where_, ".", key);
}

std::string Fields::Prefix(absl::string_view where) const {
  return absl::StrCat(file_, file_.empty() ? "" : ": ", where,
                      where.empty() ? "" : ": ");
}

void Fields::Keep(const absl::Status& error) {
  if (status_->ok()) *status_ = error;
}

void Fields::Fail(absl::string_view key, absl::string_view rule) {
  Keep(absl::DataLossError(
      absl::StrCat(Prefix(""), "key ", Quoted(PlaceOf(key)), ": ", rule)));
}

void Fields::Refuse(absl::string_view key, absl::string_view rule) {
  Keep(absl::UnimplementedError(
      absl::StrCat(Prefix(""), "key ", Quoted(PlaceOf(key)), ": ", rule)));
}

void Fields::Contradiction(absl::string_view what) {
  Keep(absl::DataLossError(absl::StrCat(Prefix(where_), what)));
}

void Fields::Unsupported(absl::string_view what) {
  Keep(absl::UnimplementedError(
      absl::StrCat(Prefix(where_), what, " is not implemented")));
}

const Json* Fields::Take(const char* key) {
  taken_.insert(key);
  auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json* Fields::Required(const char* key) {
  const Json* value = Take(key);
  if (value == nullptr) Fail(key, "is missing and has no default");
  return value;
}

bool Fields::Has(const char* key) { return Take(key) != nullptr; }

bool Fields::IsNull(const char* key) const {
  auto found = object_.find(key);
  return found != object_.end() && found->is_null();
}

int64_t Fields::InRange(const char* key, const Json& value, int64_t low,
                        int64_t high) {
  const bool fits =
      !value.is_number_unsigned() ||
      value.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()};
  const int64_t number = value.get<int64_t>();
  if (fits && number >= low && number <= high) return number;
  Fail(key, absl::StrCat(value.dump(), " is not in [", low, ", ", high, "]"));
  return low;
}

int64_t Fields::Int(const char* key, int64_t low, int64_t high) {
  const Json* value = Required(key);
  if (value == nullptr) return low;
  if (value->is_number_integer()) return InRange(key, *value, low, high);
  Fail(key, "must be an integer");
  return low;
}

int64_t Fields::Unsigned(const char* key, int64_t low, int64_t high) {
  const Json* value = Required(key);
  if (value == nullptr) return low;
  if (value->is_number_unsigned()) return InRange(key, *value, low, high);
  Fail(key, "must be an unsigned integer");
  return low;
}

int64_t Fields::IntOr(const char* key, int64_t low, int64_t high,
                      int64_t fallback) {
  return Has(key) ? Int(key, low, high) : fallback;
}

double Fields::NumberOr(const char* key, double fallback) {
  const Json* value = Take(key);
  if (value == nullptr) return fallback;
  const double number = value->is_number() ? value->get<double>() : NAN;
  if (std::isfinite(number)) return number;
  Fail(key,
       value->is_number() ? "must be a finite number" : "must be a number");
  return fallback;
}

double Fields::PositiveOr(const char* key, double fallback) {
  const double number = NumberOr(key, fallback);
  if (number > 0) return number;
  Fail(key, "must be a finite number above 0");
  return fallback;
}

double Fields::Positive(const char* key) {
  return Required(key) == nullptr ? 1 : PositiveOr(key, 1);
}

bool Fields::BoolOr(const char* key, bool fallback) {
  const Json* value = Take(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  Fail(key, "must be true or false");
  return fallback;
}

std::string Fields::StringOr(const char* key, const std::string& fallback) {
  const Json* value = Take(key);
  if (value == nullptr) return fallback;
  if (value->is_string()) return value->get<std::string>();
  Fail(key, "must be a string");
  return fallback;
}

std::string Fields::String(const char* key, size_t max_bytes) {
  if (Required(key) == nullptr) return "";
  std::string text = StringOr(key, " ");
  if (text.empty() || text.size() > max_bytes) {
    Fail(key, absl::StrCat("must have 1 to ", max_bytes, " bytes"));
  }
  return text;
}

const Json& Fields::Object(const char* key) {
  const Json* value = Required(key);
  if (value == nullptr) return EmptyObject();
  if (value->is_object()) return *value;
  Fail(key, "must be an object");
  return EmptyObject();
}

const Json& Fields::Array(const char* key) {
  const Json* value = Required(key);
  if (value == nullptr) return EmptyArray();
  if (value->is_array()) return *value;
  Fail(key, "must be an array");
  return EmptyArray();
}

const Json& Fields::Array(const char* key, size_t max_size) {
  const Json* value = Required(key);
  if (value == nullptr) return EmptyArray();
  if (value->is_array() && !value->empty() && value->size() <= max_size) {
    return *value;
  }
  Fail(key, absl::StrCat("must be an array of 1 to ", max_size));
  return EmptyArray();
}

void Fields::RequireBool(const char* key, bool value, bool fallback) {
  const bool absent = !Has(key);
  if (BoolOr(key, fallback) == value) return;
  Refuse(key, absl::StrCat(absent ? "is absent, which means " : "",
                           value ? "false" : "true", absent ? ", and that" : "",
                           " is not implemented"));
}

void Fields::RequireString(const char* key, absl::string_view value,
                           const std::string& fallback) {
  const std::string found = StringOr(key, fallback);
  if (found == value) return;
  Refuse(key, absl::StrCat(Quoted(found), " is not implemented"));
}

void Fields::RequireNumber(const char* key, double value, double fallback) {
  const double found = NumberOr(key, fallback);
  if (found == value) return;
  Refuse(key, absl::StrCat(found, " is not implemented"));
}

void Fields::RequireAbsent(const char* key, absl::string_view what) {
  if (Has(key)) Refuse(key, absl::StrCat(what, " is not implemented"));
}

void Fields::Ignore(std::initializer_list<const char*> keys) {
  taken_.insert(keys.begin(), keys.end());
}

void Fields::ExpectNoOther() {
  for (const auto& [key, value] : object_.items()) {
    if (value.is_null() || taken_.count(key) > 0) continue;
    Refuse(key, "is not known, and may change what the model computes");
  }
}

void Fields::ExpectOnly(std::initializer_list<absl::string_view> known,
                        absl::string_view else_rule) {
  for (const auto& [key, value] : object_.items()) {
    const bool is_known =
        std::find(known.begin(), known.end(), key) != known.end();
    if (!is_known) Fail(key, else_rule);
    if (value.is_null()) Fail(key, "must not be null");
  }
}

}  // namespace sinkwatch::files
