#include "worker/checkpoint/container/legacy_names.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "worker/checkpoint/pickle/reader.h"
#include "worker/checkpoint/pickle/value.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using pickle::Kind;
using pickle::Value;

// base64 of PROTO 4 or 5 and FRAME: 80 04 95, 80 05 95.
constexpr absl::string_view kProtocol4 = "gASV";
constexpr absl::string_view kProtocol5 = "gAWV";

// Names only: no global, no persistent id.
pickle::Rules NameRules() {
  pickle::Rules rules;
  rules.limits.bytes = 512;
  rules.limits.values = 100;
  rules.limits.walk = 100;
  rules.limits.depth = 3;
  return rules;
}

absl::Status NotAName(absl::string_view rule) {
  return absl::DataLossError(absl::StrCat("a pickled name, but ", rule));
}

absl::StatusOr<std::string> JoinedPath(const Value& path) {
  if (!path.Is(Kind::kTuple) || path.size() == 0) {
    return NotAName("its path is not a tuple of keys");
  }
  std::string name;
  for (const Value* key : path.items()) {
    if (!name.empty()) name += '.';
    if (key->Is(Kind::kString)) {
      absl::StrAppend(&name, key->text());
    } else if (key->Is(Kind::kInt)) {
      absl::StrAppend(&name, key->integer());
    } else {
      return NotAName(absl::StrCat("one of its keys is ", key->Describe()));
    }
  }
  return name;
}

}  // namespace

bool IsLegacyName(absl::string_view name) {
  return absl::StartsWith(name, kProtocol4) ||
         absl::StartsWith(name, kProtocol5);
}

absl::StatusOr<LegacyName> DecodeLegacyName(absl::string_view name) {
  std::string bytes;
  // The decoder is lenient; the encoder tells whether it had to be.
  if (name.size() % 4 != 0 || !absl::WebSafeBase64Unescape(name, &bytes) ||
      absl::StripSuffix(absl::StripSuffix(name, "="), "=") !=
          absl::WebSafeBase64Escape(bytes)) {
    return NotAName("not base64url with its padding");
  }
  absl::StatusOr<pickle::Pickle> pickle =
      pickle::Parse(std::move(bytes), NameRules());
  if (absl::IsUnimplemented(pickle.status())) {
    return absl::UnimplementedError(
        absl::StrCat("a pickled name: ", pickle.status().message()));
  }
  if (!pickle.ok()) return NotAName(pickle.status().message());
  const Value& pair = pickle->root();
  if (!pair.Is(Kind::kTuple) || pair.size() != 2 ||
      !pair.items()[1]->Is(Kind::kBool)) {
    return NotAName("not a pair of a path and a boolean");
  }
  absl::StatusOr<std::string> path = JoinedPath(*pair.items()[0]);
  if (!path.ok()) return path.status();
  return LegacyName{*std::move(path), pair.items()[1]->boolean()};
}

absl::StatusOr<std::vector<LegacyName>> DecodeLegacyNames(
    const std::vector<absl::string_view>& names) {
  const size_t num_legacy =
      std::count_if(names.begin(), names.end(), IsLegacyName);
  if (num_legacy != 0 && num_legacy != names.size()) {
    return absl::DataLossError(
        absl::StrCat(num_legacy,
                     " names are pickles, as the older OLMo trainer writes "
                     "them, ",
                     names.size() - num_legacy, " are not"));
  }
  std::vector<LegacyName> decoded;
  absl::flat_hash_set<std::string> seen;
  for (absl::string_view name : names) {
    if (num_legacy == 0) {
      decoded.push_back({std::string(name)});
      continue;
    }
    absl::StatusOr<LegacyName> legacy = DecodeLegacyName(name);
    if (!legacy.ok()) {
      return absl::Status(legacy.status().code(),
                          absl::StrCat("tensor ", files::Quoted(name), ": ",
                                       legacy.status().message()));
    }
    if (!seen.insert(legacy->name).second) {
      return absl::DataLossError(
          absl::StrCat("tensor ", files::Quoted(legacy->name),
                       ": two pickled names are this one"));
    }
    decoded.push_back(*std::move(legacy));
  }
  return decoded;
}

}  // namespace sinkwatch::checkpoint
