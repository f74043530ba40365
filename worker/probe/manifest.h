#ifndef SINKWATCH_WORKER_PROBE_MANIFEST_H_
#define SINKWATCH_WORKER_PROBE_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sinkwatch::probe {

// Caps of ours: a probe is held in memory as int64, and every domain is a label
// of every series.
inline constexpr int64_t kMaxManifestBytes = 1 << 20;
inline constexpr int64_t kMaxSequenceLength = 1 << 20;
inline constexpr int64_t kMaxTokens = 1 << 26;  // of all domains
inline constexpr size_t kMaxDomains = 64;
inline constexpr size_t kMaxFilesPerDomain = 1024;
inline constexpr size_t kMaxClasses = 64;
inline constexpr size_t kMaxLabelBytes = 64;

struct TokenFile {
  std::string path;  // bare name
  int64_t tokens = 0;
  std::string sha256;  // 64 lower-case hex digits
};

struct RowClasses {
  std::string path;  // bare name; empty if the domain has no classes
  std::string sha256;
  std::vector<std::string> names;
};

struct DomainManifest {
  std::string label;
  std::vector<TokenFile> files;
  RowClasses row_classes;
  int64_t tokens() const;
};

// What probe.json says, every rule checked that needs no other file.
struct Manifest {
  std::string name;
  std::string version;
  int64_t vocabulary = 0;
  int64_t token_bytes = 0;  // 2 or 4
  int64_t sequence_length = 0;
  std::string bos_policy;
  int64_t bos_id = -1;  // with "prepend" only
  std::vector<DomainManifest> domains;

  // How many ids of the files make one sequence.
  int64_t stored_length() const {
    return bos_policy == "prepend" ? sequence_length - 1 : sequence_length;
  }
};

// INVALID_ARGUMENT for everything that is wrong, naming `path`, the key and the
// rule.
absl::StatusOr<Manifest> ParseManifest(const std::string& path,
                                       const std::string& text);

// Whether `label` may name a domain or a class: 1 to kMaxLabelBytes of letters,
// digits, '_', '-' and '.'. A slash would blur `label/class`.
bool IsLabel(const std::string& label);

}  // namespace sinkwatch::probe

#endif  // SINKWATCH_WORKER_PROBE_MANIFEST_H_
