#ifndef SINKWATCH_WORKER_PROBE_CORPUS_H_
#define SINKWATCH_WORKER_PROBE_CORPUS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sinkwatch::probe {

// Sequences of one text domain.
struct Domain {
  std::string label;
  at::Tensor tokens_NT;                  // int64 [N, T], on the CPU
  at::Tensor row_classes_NT;             // uint8 [N, T], or undefined
  std::vector<std::string> class_names;  // class c is class_names[c]
};

// A probe: a fixed corpus of token ids by domain, read from a folder of
// probe.json and raw little-endian token files, wholly checked. README.md
// describes the format. Immutable.
class Corpus {
 public:
  // INVALID_ARGUMENT for whatever is wrong with the folder: the message names
  // the file, the place in it, and the rule. UNAVAILABLE for read errors.
  static absl::StatusOr<Corpus> Read(const std::string& folder);

  const std::string& name() const { return name_; }
  // SHA-256 (hex) of probe.json's bytes, which hold every file's sha256.
  const std::string& digest() const { return digest_; }
  int64_t sequence_length() const { return sequence_length_; }
  // "none", "stored", "prepend" or "eos".
  const std::string& bos_policy() const { return bos_policy_; }
  int64_t vocabulary() const { return vocabulary_; }
  const std::vector<Domain>& domains() const { return domains_; }
  int64_t tokens() const;

  // INVALID_ARGUMENT, naming domain, sequence and position, if an id is not
  // below `embedding_rows`, or if sequences are longer than `max_positions`
  // (0: no limit).
  absl::Status CheckFits(int64_t embedding_rows, int64_t max_positions) const;

 private:
  std::string name_;
  std::string digest_;
  int64_t sequence_length_ = 0;
  std::string bos_policy_;
  int64_t vocabulary_ = 0;
  std::vector<Domain> domains_;
};

// What WriteProbe takes for one domain: as Domain, ids below 65536.
struct ProbeText {
  std::string name;
  std::string version = "1";
  std::string tokenizer;
  int64_t vocabulary = 0;
  std::string bos_policy = "stored";
  std::vector<Domain> domains;
};

// Writes a probe folder that Corpus::Read accepts (uint16 tokens), beside its
// final name and renamed. Tokens are written as they are, so bos_policy is
// "none" or "stored". ALREADY_EXISTS if the folder is there; INVALID_ARGUMENT
// for what could not be read back; UNAVAILABLE for write errors.
absl::Status WriteProbe(const std::string& folder, const ProbeText& probe);

}  // namespace sinkwatch::probe

#endif  // SINKWATCH_WORKER_PROBE_CORPUS_H_
