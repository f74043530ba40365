#ifndef SINKWATCH_WORKER_PROBE_PROBE_MANIFEST_H_
#define SINKWATCH_WORKER_PROBE_PROBE_MANIFEST_H_

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
  // A bare name, of a file beside probe.json; or absolute and normal, of a file
  // that is used in place.
  std::string path;
  int64_t tokens = 0;
  std::string sha256;      // of those tokens; 64 lower-case hex digits
  bool is_prefix = false;  // the file may go on after them
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
struct ProbeManifest {
  std::string name;
  std::string version;
  int64_t vocabulary = 0;
  int64_t token_bytes = 0;  // 1, 2, 4 or 8
  int64_t sequence_length = 0;
  std::string bos_policy;
  // What is put before each sequence, bos_id with "prepend" and eos_id with
  // "eos"; -1 with any other policy.
  int64_t first_id = -1;
  std::vector<DomainManifest> domains;

  // How many ids of the files make one sequence.
  int64_t stored_length() const {
    return first_id >= 0 ? sequence_length - 1 : sequence_length;
  }
};

// INVALID_ARGUMENT for everything that is wrong, naming `path`, the key and the
// rule.
absl::StatusOr<ProbeManifest> ParseProbeManifest(const std::string& path,
                                                 const std::string& text);

// Whether `path` begins with a slash and has no empty part, "." or "..", no
// NUL, and at most 4096 bytes.
bool IsAbsoluteNormal(const std::string& path);

// Whether `label` may name a domain or a class: 1 to kMaxLabelBytes of letters,
// digits, '_', '-' and '.'. A slash would blur `label/class`.
bool IsLabel(const std::string& label);

}  // namespace sinkwatch::probe

#endif  // SINKWATCH_WORKER_PROBE_PROBE_MANIFEST_H_
