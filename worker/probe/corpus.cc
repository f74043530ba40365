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
#include "worker/checkpoint/file.h"
#include "worker/checkpoint/strict_json.h"
#include "worker/probe/manifest.h"
#include "worker/probe/sha256.h"

namespace sinkwatch::probe {
namespace {

using checkpoint::Quoted;

constexpr char kManifestFile[] = "probe.json";
constexpr absl::string_view kNpyMagic("\x93NUMPY", 6);

// Errors of the file system are worth another try, everything else about a
// probe is for its author to mend.
absl::Status InvalidUnlessUnavailable(const absl::Status& error) {
  if (absl::IsUnavailable(error)) return error;
  return absl::InvalidArgumentError(error.message());
}

// The bytes of a file of the probe: as many as the manifest says, with the
// digest it says.
absl::StatusOr<std::string> ReadChecked(const std::string& path,
                                        const std::string& real_folder,
                                        int64_t num_bytes,
                                        const std::string& sha256) {
  auto file = checkpoint::File::Open(path, real_folder);
  if (!file.ok()) return InvalidUnlessUnavailable(file.status());
  std::string start(std::min<int64_t>(kNpyMagic.size(), (*file)->size()), 0);
  absl::Status s = (*file)->ReadAt(0, start.size(), start.data());
  if (!s.ok()) return InvalidUnlessUnavailable(s);
  if (start == kNpyMagic) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": begins with the header of NumPy's .npy format; a probe has "
        "raw ids only, as ndarray.tofile writes them"));
  }
  if ((*file)->size() != num_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", (*file)->size(),
                                                   " bytes, ", kManifestFile,
                                                   " asks for ", num_bytes));
  }
  std::string bytes(num_bytes, '\0');
  s = (*file)->ReadAt(0, num_bytes, bytes.data());
  if (!s.ok()) return InvalidUnlessUnavailable(s);
  const std::string found = Sha256Hex(bytes);
  if (found == sha256) return bytes;
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": sha256 is ", found, ", ", kManifestFile, " has ", sha256));
}

// Id i of a file with little-endian ids of `width` bytes.
int64_t IdAt(const std::string& bytes, int64_t i, int64_t width) {
  uint32_t id = 0;
  for (int64_t b = width - 1; b >= 0; --b) {
    id = id << 8 | static_cast<unsigned char>(bytes[i * width + b]);
  }
  return id;
}

absl::Status AppendIds(const std::string& path, const std::string& bytes,
                       const Manifest& manifest, std::vector<int64_t>& ids) {
  const int64_t width = manifest.token_bytes;
  const int64_t count = static_cast<int64_t>(bytes.size()) / width;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = IdAt(bytes, i, width);
    if (id >= manifest.vocabulary) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": token ", i, ": id ", id,
          " is not below tokenizer.vocab_size ", manifest.vocabulary));
    }
    ids.push_back(id);
  }
  return absl::OkStatus();
}

// `values` cut into [N, T] sequences, each with `first` before it where the
// manifest asks for a prepended token; the remainder is dropped.
template <typename T>
at::Tensor CutIntoSequences(const std::vector<T>& values,
                            const Manifest& manifest, T first,
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
                            const Manifest& manifest,
                            const DomainManifest& from, Domain& domain) {
  const std::string path = absl::StrCat(folder, "/", from.row_classes.path);
  absl::StatusOr<std::string> bytes =
      ReadChecked(path, real_folder, from.tokens(), from.row_classes.sha256);
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

absl::StatusOr<Domain> ReadDomain(const std::string& folder,
                                  const std::string& real_folder,
                                  const Manifest& manifest,
                                  const DomainManifest& from) {
  Domain domain;
  domain.label = from.label;
  std::vector<int64_t> ids;
  for (const TokenFile& file : from.files) {
    const std::string path = absl::StrCat(folder, "/", file.path);
    absl::StatusOr<std::string> bytes = ReadChecked(
        path, real_folder, file.tokens * manifest.token_bytes, file.sha256);
    if (!bytes.ok()) return bytes.status();
    absl::Status s = AppendIds(path, *bytes, manifest, ids);
    if (!s.ok()) return s;
  }
  domain.tokens_NT =
      CutIntoSequences<int64_t>(ids, manifest, manifest.bos_id, at::kLong);
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
      checkpoint::ReadWholeFile(path, kMaxManifestBytes);
  if (!text.ok()) return InvalidUnlessUnavailable(text.status());
  absl::StatusOr<std::string> real_folder = checkpoint::RealFolderOf(path);
  if (!real_folder.ok()) return InvalidUnlessUnavailable(real_folder.status());
  absl::StatusOr<Manifest> manifest = ParseManifest(path, *text);
  if (!manifest.ok()) return manifest.status();
  Corpus corpus;
  corpus.name_ = manifest->name;
  corpus.digest_ = Sha256Hex(*text);
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
