#ifndef SINKWATCH_WORKER_FILES_FIELDS_H_
#define SINKWATCH_WORKER_FILES_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::files {

// The reader of a JSON object: takes its fields, each once, checked. The first
// broken rule sticks, so that a caller can take every field and ask for
// `status` at the end; after an error, what is returned is a harmless value in
// range.
//
// A field that nobody took is an error of ExpectNoOther: an option that is not
// known may change what the model computes. Absent and null mean the same, the
// default, except where IsNull is asked.
//
// Messages name the file where there is one, the key as the file has it, from
// the root ("model.block.name"), and the rule. Codes: DATA_LOSS for a field
// that is missing, of the wrong type or out of range; UNIMPLEMENTED for one
// whose value is not implemented, or that is not known.
//
// Keeps a reference to the object. A copy, and the Fields of an object inside,
// share one status. Thread-compatible.
class Fields {
 public:
  // `where` is the object's own key from the root; empty for the root. `file`
  // begins every message; empty: the caller adds it.
  explicit Fields(const nlohmann::json& object, std::string where = "",
                  std::string file = "");

  // An object further down, `where` from this one. The first error of either is
  // the status of both.
  Fields Part(const nlohmann::json& object, absl::string_view where) const;
  // The object at `key` likewise; an empty one where the key is absent.
  Fields Section(const char* key);
  // The same; it is an error if there is none.
  Fields RequiredSection(const char* key);

  const absl::Status& status() const { return *status_; }
  const nlohmann::json& json() const { return object_; }
  // The key from the root.
  std::string PlaceOf(absl::string_view key) const;

  // Whether the field is there and not null. It counts as taken.
  bool Has(const char* key);
  // Whether the field is there and null.
  bool IsNull(const char* key) const;
  // Whether somebody asked for the field.
  bool IsTaken(const char* key) const { return taken_.count(key) > 0; }

  int64_t Int(const char* key, int64_t low, int64_t high);
  int64_t IntOr(const char* key, int64_t low, int64_t high, int64_t fallback);
  // The same of a number without sign, `low` at least 0.
  int64_t Unsigned(const char* key, int64_t low, int64_t high);
  // A finite number above 0.
  double Positive(const char* key);
  double PositiveOr(const char* key, double fallback);
  // A finite number.
  double NumberOr(const char* key, double fallback);
  bool BoolOr(const char* key, bool fallback);
  std::string StringOr(const char* key, const std::string& fallback);
  // A string of 1 to `max_bytes`.
  std::string String(const char* key, size_t max_bytes);
  // The object at `key`; an empty one, and an error, if there is none.
  const nlohmann::json& Object(const char* key);
  // The array at `key`; an empty one, and an error, if there is none.
  const nlohmann::json& Array(const char* key);
  // The same of one with 1 to `max_size` elements.
  const nlohmann::json& Array(const char* key, size_t max_size);

  // UNIMPLEMENTED unless the field is absent, null or has the value.
  void RequireBool(const char* key, bool value, bool fallback);
  void RequireString(const char* key, absl::string_view value,
                     const std::string& fallback);
  void RequireNumber(const char* key, double value, double fallback);
  // UNIMPLEMENTED if the field is there and not null; the message says that
  // `what` is not implemented.
  void RequireAbsent(const char* key, absl::string_view what);

  // Fields that do not change what the model computes.
  void Ignore(std::initializer_list<const char*> keys);
  // UNIMPLEMENTED, naming the field, if one was not taken.
  void ExpectNoOther();
  // DATA_LOSS, naming the field, for one that is not among `known`, with the
  // rule `else_rule`, and for one that is null.
  void ExpectOnly(std::initializer_list<absl::string_view> known,
                  absl::string_view else_rule);

  // Errors of a field, and of the object as a whole. Quote (strict_json.h) what
  // comes from the file.
  void Fail(absl::string_view key, absl::string_view rule);    // DATA_LOSS
  void Refuse(absl::string_view key, absl::string_view rule);  // UNIMPLEMENTED
  void Contradiction(absl::string_view what);                  // DATA_LOSS
  // UNIMPLEMENTED: `what` is not implemented.
  void Unsupported(absl::string_view what);
  // Keeps `error` if it is the first.
  void Keep(const absl::Status& error);

 private:
  Fields(const nlohmann::json& object, std::string where, std::string file,
         std::shared_ptr<absl::Status> status);

  // nullptr if the field is absent or null.
  const nlohmann::json* Take(const char* key);
  // The same, and an error in that case.
  const nlohmann::json* Required(const char* key);
  int64_t InRange(const char* key, const nlohmann::json& value, int64_t low,
                  int64_t high);
  // "FILE: ", "FILE: WHERE: " and the like.
  std::string Prefix(absl::string_view where) const;

  const nlohmann::json& object_;
  const std::string where_;
  const std::string file_;
  std::set<std::string> taken_;
  const std::shared_ptr<absl::Status> status_;
};

}  // namespace sinkwatch::files

#endif  // SINKWATCH_WORKER_FILES_FIELDS_H_
