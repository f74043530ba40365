#ifndef SINKWATCH_WORKER_PROBE_PIN_H_
#define SINKWATCH_WORKER_PROBE_PIN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sinkwatch::probe {

// What a list of token files leaves open.
struct PinOptions {
  // Lines `label,path`, as OLMo-core's data mixes have them. Blank lines and
  // lines that begin with # are skipped; a label may have several lines.
  // `{TOKENIZER}` in a path stands for `tokenizer`. A relative path is taken
  // from `base_folder`, or, if that is empty, from the list's own folder.
  std::string list_file;
  std::string base_folder;

  std::string name;
  std::string tokenizer;
  int64_t vocabulary = 0;
  // "auto": the smallest that holds every id, as OLMo-core has it.
  std::string dtype = "auto";
  int64_t sequence_length = 0;
  // Ids used of each domain, from its start; 0 for all.
  int64_t max_tokens_per_domain = 0;
  std::string bos_policy = "none";
  int64_t bos_id = -1;  // -1: not given
  int64_t eos_id = -1;
};

struct PinnedDomain {
  std::string label;
  int64_t files = 0;
  int64_t tokens = 0;
  // In the files that the list names, used or not.
  int64_t tokens_available = 0;
  int64_t sequences = 0;
};

struct PinReport {
  std::string digest;  // of probe.json
  std::string dtype;
  std::vector<PinnedDomain> domains;
  // What is no error but may make numbers mean something else; a sentence each.
  std::vector<std::string> warnings;
};

// Makes a probe folder whose probe.json pins the token files of a list where
// they lie: absolute paths, counts, sha256. Writes nothing else, and only what
// Corpus::Read accepts, under the final name once it is whole.
//
// INVALID_ARGUMENT for what is wrong with the list (naming its line), a token
// file (naming the place) or an option; ALREADY_EXISTS if `folder` is there;
// UNAVAILABLE for errors of the file system.
absl::StatusOr<PinReport> PinProbe(const PinOptions& options,
                                   const std::string& folder);

}  // namespace sinkwatch::probe

#endif  // SINKWATCH_WORKER_PROBE_PIN_H_
