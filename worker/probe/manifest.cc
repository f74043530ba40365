#include "worker/probe/manifest.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"
#include "worker/probe/token_file.h"

namespace sinkwatch::probe {
namespace {

using Json = nlohmann::json;
using files::Quoted;

constexpr int64_t kMaxVocabulary = int64_t{1} << 31;
constexpr size_t kMaxNameBytes = 256;
constexpr size_t kMaxPathBytes = 4096;

// One object of the manifest, and where it is, e.g. `domains[0].files[1]`. The
// first broken rule sticks, so that a reader can take all keys and ask once.
class ObjectReader {
 public:
  ObjectReader(const Json& json, std::string where)
      : json_(json), where_(std::move(where)) {
    if (!json.is_object()) Fail("", "must be an object");
  }

  const absl::Status& status() const { return status_; }
  bool Has(const char* key) const {
    return json_.is_object() && json_.contains(key);
  }
  std::string PlaceOf(absl::string_view key) const {
    if (key.empty()) return where_;
    return where_.empty() ? std::string(key) : absl::StrCat(where_, ".", key);
  }

  void Fail(absl::string_view key, absl::string_view rule) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(
        absl::StrCat("key ", Quoted(PlaceOf(key)), ": ", rule));
  }
  void Fail(const absl::Status& error) {
    if (status_.ok()) status_ = error;
  }

  // Every key must be one of `known`.
  void ExpectOnly(std::initializer_list<absl::string_view> known) {
    if (!json_.is_object()) return;
    for (const auto& [key, value] : json_.items()) {
      const bool is_known =
          std::find(known.begin(), known.end(), key) != known.end();
      if (!is_known) Fail(key, "is not a key that a probe has");
    }
  }

  std::string String(const char* key, size_t max_bytes) {
    const Json* value = Required(key);
    if (value == nullptr) return "";
    if (!value->is_string()) {
      Fail(key, "must be a string");
      return "";
    }
    std::string text = value->get<std::string>();
    if (text.empty() || text.size() > max_bytes) {
      Fail(key, absl::StrCat("must have 1 to ", max_bytes, " bytes"));
    }
    return text;
  }

  int64_t Int(const char* key, int64_t low, int64_t high) {
    const Json* value = Required(key);
    if (value == nullptr) return low;
    // A JSON integer without sign; 1.0 and 1e3 are none.
    if (!value->is_number_unsigned()) {
      Fail(key, "must be an unsigned integer");
      return low;
    }
    const uint64_t number = value->get<uint64_t>();
    if (number < static_cast<uint64_t>(low) ||
        number > static_cast<uint64_t>(high)) {
      Fail(key, absl::StrCat(number, " is not in [", low, ", ", high, "]"));
      return low;
    }
    return static_cast<int64_t>(number);
  }

  std::string FileName(const char* key) {
    std::string name = String(key, kMaxNameBytes);
    if (status_.ok() && !files::IsBareName(name)) {
      Fail(key, absl::StrCat(Quoted(name),
                             " must be a bare file name in the folder"));
    }
    return name;
  }

  // A bare name, or an absolute path to a file that is used where it lies.
  std::string TokenPath(const char* key) {
    std::string path = String(key, kMaxPathBytes);
    if (status_.ok() && !files::IsBareName(path) && !IsAbsoluteNormal(path)) {
      Fail(key, absl::StrCat(Quoted(path),
                             " must be a bare file name in the folder, or an "
                             "absolute path without '.' and '..'"));
    }
    return path;
  }

  bool BoolOr(const char* key, bool fallback) {
    if (!Has(key)) return fallback;
    const Json& value = json_.at(key);
    if (value.is_boolean()) return value.get<bool>();
    Fail(key, "must be true or false");
    return fallback;
  }

  std::string Sha256(const char* key) {
    std::string hex = String(key, kMaxNameBytes);
    absl::AsciiStrToLower(&hex);
    const bool is_hex =
        hex.size() == 64 && std::all_of(hex.begin(), hex.end(), [](char c) {
          return absl::ascii_isxdigit(c);
        });
    if (status_.ok() && !is_hex) Fail(key, "must be 64 hex digits");
    return hex;
  }

  // The elements of an array of 1 to `max_size`; none on error.
  std::vector<Json> Array(const char* key, size_t max_size) {
    const Json* value = Required(key);
    if (value == nullptr) return {};
    if (value->is_array() && !value->empty() && value->size() <= max_size) {
      return {value->begin(), value->end()};
    }
    Fail(key, absl::StrCat("must be an array of 1 to ", max_size));
    return {};
  }

  const Json* Required(const char* key) {
    if (Has(key)) return &json_.at(key);
    Fail(key, "is missing");
    return nullptr;
  }

 private:
  const Json& json_;
  const std::string where_;
  absl::Status status_;
};

std::string Element(absl::string_view array, size_t index) {
  return absl::StrCat(array, "[", index, "]");
}

absl::StatusOr<TokenFile> ReadTokenFile(const Json& json,
                                        const std::string& where) {
  ObjectReader object(json, where);
  object.ExpectOnly({"path", "tokens", "sha256", "prefix"});
  TokenFile file;
  file.path = object.TokenPath("path");
  file.tokens = object.Int("tokens", 1, kMaxTokens);
  file.sha256 = object.Sha256("sha256");
  file.is_prefix = object.BoolOr("prefix", false);
  if (!object.status().ok()) return object.status();
  return file;
}

absl::StatusOr<RowClasses> ReadRowClasses(const Json& json,
                                          const std::string& where) {
  ObjectReader object(json, where);
  object.ExpectOnly({"path", "sha256", "names"});
  RowClasses classes;
  classes.path = object.FileName("path");
  classes.sha256 = object.Sha256("sha256");
  std::set<std::string> seen;
  for (const Json& name : object.Array("names", kMaxClasses)) {
    const std::string text = name.is_string() ? name.get<std::string>() : "";
    if (!IsLabel(text)) {
      object.Fail("names", absl::StrCat(Quoted(text), " is not a label"));
    } else if (!seen.insert(text).second) {
      object.Fail("names", absl::StrCat(Quoted(text), " is there twice"));
    }
    classes.names.push_back(text);
  }
  if (!object.status().ok()) return object.status();
  return classes;
}

absl::StatusOr<DomainManifest> ReadDomain(const Json& json,
                                          const std::string& where) {
  ObjectReader object(json, where);
  object.ExpectOnly({"label", "files", "row_classes"});
  DomainManifest domain;
  domain.label = object.String("label", kMaxLabelBytes);
  if (object.status().ok() && !IsLabel(domain.label)) {
    object.Fail("label", absl::StrCat(Quoted(domain.label),
                                      " must be letters, digits, '_', '-', "
                                      "'.'"));
  }
  for (const Json& element : object.Array("files", kMaxFilesPerDomain)) {
    absl::StatusOr<TokenFile> file = ReadTokenFile(
        element, Element(object.PlaceOf("files"), domain.files.size()));
    if (!file.ok()) return file.status();
    domain.files.push_back(*std::move(file));
  }
  if (object.Has("row_classes")) {
    absl::StatusOr<RowClasses> classes = ReadRowClasses(
        *object.Required("row_classes"), object.PlaceOf("row_classes"));
    if (!classes.ok()) return classes.status();
    domain.row_classes = *std::move(classes);
  }
  if (!object.status().ok()) return object.status();
  return domain;
}

void ReadTokenizer(ObjectReader& root, Manifest& manifest) {
  const Json* json = root.Required("tokenizer");
  if (json == nullptr) return;
  ObjectReader tokenizer(*json, "tokenizer");
  tokenizer.ExpectOnly({"name", "vocab_size", "sha256"});
  tokenizer.String("name", kMaxNameBytes);
  manifest.vocabulary = tokenizer.Int("vocab_size", 1, kMaxVocabulary);
  if (tokenizer.Has("sha256")) tokenizer.Sha256("sha256");
  root.Fail(tokenizer.status());
}

void ReadDtype(ObjectReader& root, Manifest& manifest) {
  const std::string dtype = root.String("dtype", kMaxNameBytes);
  manifest.token_bytes = BytesOfDtype(dtype);
  if (manifest.token_bytes == 0) {
    root.Fail("dtype",
              "must be \"uint8\", \"uint16\", \"uint32\" or \"uint64\"");
  } else if (manifest.token_bytes < SmallestIdBytes(manifest.vocabulary)) {
    root.Fail("dtype", absl::StrCat(dtype,
                                    " cannot hold every id below "
                                    "tokenizer.vocab_size ",
                                    manifest.vocabulary));
  }
}

void ReadBosPolicy(ObjectReader& root, Manifest& manifest) {
  manifest.bos_policy = root.String("bos_policy", kMaxNameBytes);
  const bool prepends = manifest.bos_policy == "prepend";
  const int64_t last_id = manifest.vocabulary - 1;
  if (prepends) manifest.first_id = root.Int("bos_id", 0, last_id);
  // Required with this policy, for people with any other.
  if (manifest.bos_policy == "eos") {
    manifest.first_id = root.Int("eos_id", 0, last_id);
  } else if (root.Has("eos_id")) {
    root.Int("eos_id", 0, last_id);
  }
  if (manifest.first_id < 0 && manifest.bos_policy != "none" &&
      manifest.bos_policy != "stored") {
    root.Fail("bos_policy",
              "must be \"none\", \"stored\", \"prepend\" or \"eos\"");
  }
  if (root.Has("bos_id") && !prepends) {
    root.Fail("bos_id", "goes with bos_policy \"prepend\" only");
  }
}

void ReadDomains(ObjectReader& root, Manifest& manifest) {
  int64_t tokens = 0;
  std::set<std::string> labels;
  for (const Json& element : root.Array("domains", kMaxDomains)) {
    const std::string where = Element("domains", manifest.domains.size());
    absl::StatusOr<DomainManifest> domain = ReadDomain(element, where);
    if (!domain.ok()) return root.Fail(domain.status());
    if (!labels.insert(domain->label).second) {
      root.Fail("domains", absl::StrCat("label ", Quoted(domain->label),
                                        " is there twice"));
    }
    if (domain->tokens() < manifest.stored_length()) {
      root.Fail(absl::StrCat(where, ".files"),
                absl::StrCat(domain->tokens(),
                             " tokens are less than one "
                             "sequence"));
    }
    tokens += domain->tokens();
    manifest.domains.push_back(*std::move(domain));
  }
  if (tokens > kMaxTokens) {
    root.Fail("domains", absl::StrCat(tokens, " tokens, above ", kMaxTokens));
  }
}

}  // namespace

int64_t DomainManifest::tokens() const {
  int64_t sum = 0;
  for (const TokenFile& file : files) sum += file.tokens;
  return sum;
}

bool IsAbsoluteNormal(const std::string& path) {
  if (path.size() < 2 || path[0] != '/' || path.size() > kMaxPathBytes) {
    return false;
  }
  for (absl::string_view part : absl::StrSplit(path.substr(1), '/')) {
    if (!files::IsBareName(part)) return false;
  }
  return true;
}

bool IsLabel(const std::string& label) {
  return !label.empty() && label.size() <= kMaxLabelBytes &&
         std::all_of(label.begin(), label.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
         });
}

absl::StatusOr<Manifest> ParseManifest(const std::string& path,
                                       const std::string& text) {
  auto in_file = [&path](const absl::Status& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", error.message()));
  };
  absl::StatusOr<Json> json = files::ParseJsonObject(text);
  if (!json.ok()) return in_file(json.status());
  ObjectReader root(*json, "");
  root.ExpectOnly({"name", "version", "tokenizer", "dtype", "sequence_length",
                   "eos_id", "bos_policy", "bos_id", "domains"});
  Manifest manifest;
  manifest.name = root.String("name", kMaxNameBytes);
  manifest.version = root.String("version", kMaxNameBytes);
  ReadTokenizer(root, manifest);
  ReadDtype(root, manifest);
  manifest.sequence_length = root.Int("sequence_length", 2, kMaxSequenceLength);
  ReadBosPolicy(root, manifest);
  ReadDomains(root, manifest);
  if (!root.status().ok()) return in_file(root.status());
  return manifest;
}

}  // namespace sinkwatch::probe
