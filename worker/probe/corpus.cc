#include "worker/probe/corpus.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "ATen/ops/empty.h"
#include "ATen/ops/from_blob.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/base/sha256.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"
#include "worker/probe/probe_manifest.h"
#include "worker/probe/token_file.h"

namespace sinkwatch::probe {
namespace {

using files::Quoted;

constexpr char kManifestFile[] = "probe.json";

// The bytes of a file of the probe that the manifest tells of: the whole file,
// or the part before `num_bytes`, with the digest it says.
absl::StatusOr<std::string> ReadChecked(const files::File& file,
                                        int64_t num_bytes, bool is_prefix,
                                        const std::string& sha256) {
  const bool fits =
      is_prefix ? file.size() >= num_bytes : file.size() == num_bytes;
  if (!fits) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": ", file.size(), " bytes, ", kManifestFile,
                     " asks for ", is_prefix ? "at least " : "", num_bytes));
  }
  std::string bytes(num_bytes, '\0');
  absl::Status s = file.ReadAt(0, num_bytes, bytes.data());
  if (!s.ok()) return InvalidUnlessUnavailable(s);
  const std::string found = base::Sha256Hex(bytes);
  if (found == sha256) return bytes;
  return absl::InvalidArgumentError(absl::StrCat(file.path(), ": sha256 is ",
                                                 found, ", ", kManifestFile,
                                                 " has ", sha256));
}

// `values` cut into [N, T] sequences, each with `first` before it where the
// manifest asks for such a token; the remainder is dropped.
template <typename T>
at::Tensor CutIntoSequences(const std::vector<T>& values,
                            const ProbeManifest& manifest, T first,
                            at::ScalarType type) {
  const int64_t stored = manifest.stored_length();
  const int64_t num_sequences = static_cast<int64_t>(values.size()) / stored;
  at::Tensor sequences_NT =
      at::empty({num_sequences, manifest.sequence_length}, type);
  T* to = sequences_NT.mutable_data_ptr<T>();
  for (int64_t n = 0; n < num_sequences; ++n) {
    if (stored < manifest.sequence_length) *to++ = first;
    to = std::copy_n(values.begin() + n * stored, stored, to);
  }
  return sequences_NT;
}

absl::Status ReadRowClasses(const std::string& folder,
                            const std::string& real_folder,
                            const ProbeManifest& manifest,
                            const DomainManifest& from, Domain& domain) {
  const std::string path = absl::StrCat(folder, "/", from.row_classes.path);
  auto file = OpenTokenFile(path, real_folder);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> bytes =
      ReadChecked(**file, from.tokens(), false, from.row_classes.sha256);
  if (!bytes.ok()) return bytes.status();
  std::vector<uint8_t> classes(bytes->begin(), bytes->end());
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] < from.row_classes.names.size()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": token ", i, ": class ", classes[i],
        " is not below the number of names, ", from.row_classes.names.size()));
  }
  domain.class_names = from.row_classes.names;
  domain.row_classes_NT =
      CutIntoSequences<uint8_t>(classes, manifest, 0, at::kByte);
  return absl::OkStatus();
}

// An absolute path is the author's own word and may lead anywhere; its content
// is what the manifest's sha256 says.
absl::Status AppendTokenFile(const std::string& folder,
                             const std::string& real_folder,
                             const ProbeManifest& manifest,
                             const TokenFile& from, std::vector<int64_t>& ids) {
  const bool is_absolute = absl::StartsWith(from.path, "/");
  auto file = is_absolute ? OpenTokenFile(from.path, "")
                          : OpenTokenFile(absl::StrCat(folder, "/", from.path),
                                          real_folder);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> bytes = ReadChecked(
      **file, from.tokens * manifest.token_bytes, from.is_prefix, from.sha256);
  if (!bytes.ok()) return bytes.status();
  return AppendIds((*file)->path(), *bytes, manifest.token_bytes,
                   manifest.vocabulary, ids);
}

absl::StatusOr<Domain> ReadDomain(const std::string& folder,
                                  const std::string& real_folder,
                                  const ProbeManifest& manifest,
                                  const DomainManifest& from) {
  Domain domain;
  domain.label = from.label;
  std::vector<int64_t> ids;
  for (const TokenFile& file : from.files) {
    absl::Status s = AppendTokenFile(folder, real_folder, manifest, file, ids);
    if (!s.ok()) return s;
  }
  domain.tokens_NT =
      CutIntoSequences<int64_t>(ids, manifest, manifest.first_id, at::kLong);
  if (!from.row_classes.path.empty()) {
    absl::Status s =
        ReadRowClasses(folder, real_folder, manifest, from, domain);
    if (!s.ok()) return s;
  }
  return domain;
}

}  // namespace

absl::StatusOr<Corpus> Corpus::Read(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifestFile);
  absl::StatusOr<std::string> text =
      files::ReadWholeFile(path, kMaxManifestBytes);
  if (!text.ok()) return InvalidUnlessUnavailable(text.status());
  absl::StatusOr<std::string> real_folder = files::RealFolderOf(path);
  if (!real_folder.ok()) return InvalidUnlessUnavailable(real_folder.status());
  absl::StatusOr<ProbeManifest> manifest = ParseProbeManifest(path, *text);
  if (!manifest.ok()) return manifest.status();
  Corpus corpus;
  corpus.name_ = manifest->name;
  corpus.digest_ = base::Sha256Hex(*text);
  corpus.sequence_length_ = manifest->sequence_length;
  corpus.bos_policy_ = manifest->bos_policy;
  corpus.vocabulary_ = manifest->vocabulary;
  for (const DomainManifest& from : manifest->domains) {
    absl::StatusOr<Domain> domain =
        ReadDomain(folder, *real_folder, *manifest, from);
    if (!domain.ok()) return domain.status();
    corpus.domains_.push_back(*std::move(domain));
  }
  return corpus;
}

int64_t Corpus::tokens() const {
  int64_t sum = 0;
  for (const Domain& domain : domains_) sum += domain.tokens_NT.numel();
  return sum;
}

absl::Status Corpus::CheckFits(int64_t embedding_rows,
                               int64_t max_positions) const {
  if (max_positions > 0 && sequence_length_ > max_positions) {
    return absl::InvalidArgumentError(absl::StrCat(
        "probe ", Quoted(name_), ": sequences of ", sequence_length_,
        " tokens, the model has ", max_positions, " positions"));
  }
  for (const Domain& domain : domains_) {
    const int64_t* ids = domain.tokens_NT.const_data_ptr<int64_t>();
    const int64_t* end = ids + domain.tokens_NT.numel();
    const int64_t* found = std::find_if(
        ids, end, [=](int64_t id) { return id >= embedding_rows; });
    if (found == end) continue;
    const int64_t at = found - ids;
    return absl::InvalidArgumentError(absl::StrCat(
        "probe ", Quoted(name_), ": domain ", Quoted(domain.label),
        ": sequence ", at / sequence_length_, ", position ",
        at % sequence_length_, ": id ", *found, " is not below the ",
        embedding_rows, " rows of the embedding"));
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::probe
