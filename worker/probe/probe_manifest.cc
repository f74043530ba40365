#include "worker/probe/probe_manifest.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "worker/files/fields.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"
#include "worker/probe/token_file.h"

namespace sinkwatch::probe {
namespace {

using Json = nlohmann::json;
using files::Fields;
using files::Quoted;

constexpr int64_t kMaxVocabulary = int64_t{1} << 31;
constexpr size_t kMaxNameBytes = 256;
constexpr size_t kMaxPathBytes = 4096;

constexpr char kUnknown[] = "is not a key that a probe has";

std::string FileName(Fields& fields, const char* key) {
  std::string name = fields.String(key, kMaxNameBytes);
  if (!files::IsBareName(name)) {
    fields.Fail(key, absl::StrCat(Quoted(name),
                                  " must be a bare file name in the folder"));
  }
  return name;
}

// A bare name, or an absolute path to a file that is used where it lies.
std::string TokenPath(Fields& fields, const char* key) {
  std::string path = fields.String(key, kMaxPathBytes);
  if (!files::IsBareName(path) && !IsAbsoluteNormal(path)) {
    fields.Fail(key, absl::StrCat(Quoted(path),
                                  " must be a bare file name in the folder, or "
                                  "an absolute path without '.' and '..'"));
  }
  return path;
}

std::string Sha256(Fields& fields, const char* key) {
  std::string hex = fields.String(key, kMaxNameBytes);
  absl::AsciiStrToLower(&hex);
  const bool is_hex =
      hex.size() == 64 && std::all_of(hex.begin(), hex.end(), [](char c) {
        return absl::ascii_isxdigit(c);
      });
  if (!is_hex) fields.Fail(key, "must be 64 hex digits");
  return hex;
}

std::string Element(absl::string_view array, size_t index) {
  return absl::StrCat(array, "[", index, "]");
}

TokenFile ReadTokenFile(Fields fields) {
  fields.ExpectOnly({"path", "tokens", "sha256", "prefix"}, kUnknown);
  TokenFile file;
  file.path = TokenPath(fields, "path");
  file.tokens = fields.Unsigned("tokens", 1, kMaxTokens);
  file.sha256 = Sha256(fields, "sha256");
  file.is_prefix = fields.BoolOr("prefix", false);
  return file;
}

RowClasses ReadRowClasses(Fields fields) {
  fields.ExpectOnly({"path", "sha256", "names"}, kUnknown);
  RowClasses classes;
  classes.path = FileName(fields, "path");
  classes.sha256 = Sha256(fields, "sha256");
  std::set<std::string> seen;
  for (const Json& name : fields.Array("names", kMaxClasses)) {
    const std::string text = name.is_string() ? name.get<std::string>() : "";
    if (!IsLabel(text)) {
      fields.Fail("names", absl::StrCat(Quoted(text), " is not a label"));
    } else if (!seen.insert(text).second) {
      fields.Fail("names", absl::StrCat(Quoted(text), " is there twice"));
    }
    classes.names.push_back(text);
  }
  return classes;
}

DomainManifest ReadDomain(Fields fields) {
  fields.ExpectOnly({"label", "files", "row_classes"}, kUnknown);
  DomainManifest domain;
  domain.label = fields.String("label", kMaxLabelBytes);
  if (!IsLabel(domain.label)) {
    fields.Fail("label", absl::StrCat(Quoted(domain.label),
                                      " must be letters, digits, '_', '-', "
                                      "'.'"));
  }
  for (const Json& element : fields.Array("files", kMaxFilesPerDomain)) {
    domain.files.push_back(ReadTokenFile(
        fields.Part(element, Element("files", domain.files.size()))));
  }
  if (fields.Has("row_classes")) {
    domain.row_classes = ReadRowClasses(fields.RequiredSection("row_classes"));
  }
  return domain;
}

void ReadTokenizer(Fields& root, ProbeManifest& manifest) {
  Fields tokenizer = root.RequiredSection("tokenizer");
  tokenizer.ExpectOnly({"name", "vocab_size", "sha256"}, kUnknown);
  tokenizer.String("name", kMaxNameBytes);
  manifest.vocabulary = tokenizer.Unsigned("vocab_size", 1, kMaxVocabulary);
  if (tokenizer.Has("sha256")) Sha256(tokenizer, "sha256");
}

void ReadDtype(Fields& root, ProbeManifest& manifest) {
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

void ReadBosPolicy(Fields& root, ProbeManifest& manifest) {
  manifest.bos_policy = root.String("bos_policy", kMaxNameBytes);
  const bool prepends = manifest.bos_policy == "prepend";
  const int64_t last_id = manifest.vocabulary - 1;
  if (prepends) manifest.first_id = root.Unsigned("bos_id", 0, last_id);
  // Required with this policy, for people with any other.
  if (manifest.bos_policy == "eos") {
    manifest.first_id = root.Unsigned("eos_id", 0, last_id);
  } else if (root.Has("eos_id")) {
    root.Unsigned("eos_id", 0, last_id);
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

void ReadDomains(Fields& root, ProbeManifest& manifest) {
  int64_t tokens = 0;
  std::set<std::string> labels;
  for (const Json& element : root.Array("domains", kMaxDomains)) {
    const std::string where = Element("domains", manifest.domains.size());
    DomainManifest domain = ReadDomain(root.Part(element, where));
    if (!labels.insert(domain.label).second) {
      root.Fail("domains", absl::StrCat("label ", Quoted(domain.label),
                                        " is there twice"));
    }
    if (domain.tokens() < manifest.stored_length()) {
      root.Fail(absl::StrCat(where, ".files"),
                absl::StrCat(domain.tokens(),
                             " tokens are less than one "
                             "sequence"));
    }
    tokens += domain.tokens();
    manifest.domains.push_back(std::move(domain));
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

absl::StatusOr<ProbeManifest> ParseProbeManifest(const std::string& path,
                                                 const std::string& text) {
  const auto in_file = [&path](const absl::Status& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", error.message()));
  };
  const absl::StatusOr<Json> json = files::ParseJsonObject(text);
  if (!json.ok()) return in_file(json.status());
  Fields root(*json);
  root.ExpectOnly({"name", "version", "tokenizer", "dtype", "sequence_length",
                   "eos_id", "bos_policy", "bos_id", "domains"},
                  kUnknown);
  ProbeManifest manifest;
  manifest.name = root.String("name", kMaxNameBytes);
  manifest.version = root.String("version", kMaxNameBytes);
  ReadTokenizer(root, manifest);
  ReadDtype(root, manifest);
  manifest.sequence_length =
      root.Unsigned("sequence_length", 2, kMaxSequenceLength);
  ReadBosPolicy(root, manifest);
  ReadDomains(root, manifest);
  if (!root.status().ok()) return in_file(root.status());
  return manifest;
}

}  // namespace sinkwatch::probe
