// probe.json.
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "worker/files/file.h"
#include "worker/probe/probe_manifest.h"

namespace sinkwatch::fuzz {
namespace {

using probe::DomainManifest;
using probe::ProbeManifest;

void ExpectSha256(const std::string& text) {
  Expect(text.size() == 64, "a sha256 has 64 digits");
  for (char c : text) {
    Expect(absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'),
           "a sha256 is lower-case hex");
  }
}

void ExpectDomain(const DomainManifest& domain, const ProbeManifest& manifest) {
  Expect(probe::IsLabel(domain.label), "a domain has a label");
  Expect(!domain.files.empty(), "a domain has a file");
  for (const probe::TokenFile& file : domain.files) {
    Expect(files::IsBareName(file.path) || probe::IsAbsoluteNormal(file.path),
           "a token file is a bare name or an absolute path");
    Expect(file.tokens >= 1, "a token file has a token");
    ExpectSha256(file.sha256);
  }
  Expect(domain.tokens() >= manifest.stored_length(),
         "a domain has a whole sequence");
  if (domain.row_classes.path.empty()) return;
  Expect(files::IsBareName(domain.row_classes.path),
         "row classes are a bare name");
  ExpectSha256(domain.row_classes.sha256);
  for (const std::string& name : domain.row_classes.names) {
    Expect(probe::IsLabel(name), "a class has a label");
  }
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const absl::StatusOr<ProbeManifest> manifest =
      probe::ParseProbeManifest("probe.json", std::string(input));
  if (!manifest.ok()) return manifest.status();
  const int64_t bytes = manifest->token_bytes;
  Expect(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8,
         "an id has 1, 2, 4 or 8 bytes");
  Expect(manifest->sequence_length >= 2 &&
             manifest->sequence_length <= probe::kMaxSequenceLength,
         "the sequence length is in its range");
  Expect(manifest->vocabulary >= 1, "there is a vocabulary");
  const bool puts_first =
      manifest->bos_policy == "prepend" || manifest->bos_policy == "eos";
  Expect(puts_first == (manifest->first_id >= 0),
         "there is an id where one is put first");
  Expect(manifest->first_id < manifest->vocabulary,
         "the first id is in the vocabulary");
  int64_t tokens = 0;
  std::set<std::string> labels;
  for (const DomainManifest& domain : manifest->domains) {
    ExpectDomain(domain, *manifest);
    Expect(labels.insert(domain.label).second, "a label is there once");
    tokens += domain.tokens();
  }
  Expect(!labels.empty() && tokens <= probe::kMaxTokens,
         "there are tokens, and not more than we hold");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
