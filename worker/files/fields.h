#ifndef SINKWATCH_WORKER_FILES_FIELDS_H_
#define SINKWATCH_WORKER_FILES_FIELDS_H_

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::files {

// Takes the fields of one object of a config, each once, checked. The first
// broken rule sticks, so that a translator can take every field and ask for
// `status` at the end; after an error, what is returned is a harmless value.
//
// A field that nobody took is an error of ExpectNoOther: an option that is not
// known may change what the model computes. Absent and null mean the same, the
// default, except where IsNull is asked.
//
// Messages name the key as the file has it, from the root ("model.block.name"),
// and the rule; the path of the file is for the caller to add. Codes: DATA_LOSS
// for a field that is missing, of the wrong type or out of range; UNIMPLEMENTED
// for one whose value is not implemented, or that is not known.
//
// Keeps a reference to the object.
class Fields {
 public:
  // `where` is the object's own key from the root; empty for the root.
  Fields(const nlohmann::json& object, std::string where);

  const absl::Status& status() const { return status_; }
  // The key from the root.
  std::string PlaceOf(absl::string_view key) const;

  // Whether the field is there and not null. It counts as taken.
  bool Has(const char* key);
  // Whether the field is there and null.
  bool IsNull(const char* key) const;

  int64_t Int(const char* key, int64_t low, int64_t high);
  int64_t IntOr(const char* key, int64_t low, int64_t high, int64_t fallback);
  // A finite number above 0.
  double PositiveOr(const char* key, double fallback);
  // A finite number.
  double NumberOr(const char* key, double fallback);
  bool BoolOr(const char* key, bool fallback);
  std::string StringOr(const char* key, const std::string& fallback);
  // The object at `key`; an empty one, and an error, if there is none.
  const nlohmann::json& Object(const char* key);
  // The array at `key`; an empty one, and an error, if there is none.
  const nlohmann::json& Array(const char* key);

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

  void Fail(absl::string_view key, absl::string_view rule);    // DATA_LOSS
  void Refuse(absl::string_view key, absl::string_view rule);  // UNIMPLEMENTED
  // Keeps `error` if it is the first.
  void Keep(const absl::Status& error);

 private:
  // nullptr if the field is absent or null.
  const nlohmann::json* Take(const char* key);
  // The same, and an error in that case.
  const nlohmann::json* Required(const char* key);

  const nlohmann::json& object_;
  const std::string where_;
  std::set<std::string> taken_;
  absl::Status status_;
};

}  // namespace sinkwatch::files

#endif  // SINKWATCH_WORKER_FILES_FIELDS_H_
