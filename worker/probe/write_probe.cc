#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "proto/base/sha256.h"
#include "worker/files/durable_file.h"
#include "worker/files/strict_json.h"
#include "worker/probe/corpus.h"
#include "worker/probe/probe_manifest.h"

namespace sinkwatch::probe {
namespace {

using Json = nlohmann::ordered_json;
using files::Quoted;

absl::Status DomainError(const Domain& domain, absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat("domain ", Quoted(domain.label), ": ", rule));
}

bool IsMatrix(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.defined() && tensor.dim() == 2 && tensor.scalar_type() == type;
}

// What only the writer can know: the reader checks all else, see WriteProbe.
absl::Status CheckDomain(const Domain& domain, int64_t sequence_length) {
  if (!IsMatrix(domain.tokens_NT, at::kLong) ||
      domain.tokens_NT.size(1) != sequence_length) {
    return DomainError(domain, absl::StrCat("tokens must be int64 [N, ",
                                            sequence_length, "]"));
  }
  if (!domain.row_classes_NT.defined()) return absl::OkStatus();
  if (IsMatrix(domain.row_classes_NT, at::kByte) &&
      domain.row_classes_NT.sizes() == domain.tokens_NT.sizes()) {
    return absl::OkStatus();
  }
  return DomainError(domain, "row classes must be uint8, as many as tokens");
}

absl::StatusOr<std::string> IdBytes(const Domain& domain, int64_t vocabulary) {
  const at::Tensor tokens_NT = domain.tokens_NT.cpu().contiguous();
  const int64_t* ids = tokens_NT.const_data_ptr<int64_t>();
  std::string bytes;
  bytes.reserve(2 * tokens_NT.numel());
  for (int64_t i = 0; i < tokens_NT.numel(); ++i) {
    if (ids[i] < 0 || ids[i] >= std::min<int64_t>(vocabulary, 1 << 16)) {
      return DomainError(domain, absl::StrCat("token ", i, ": id ", ids[i],
                                              " is not below vocabulary and "
                                              "65536"));
    }
    bytes.push_back(static_cast<char>(ids[i] & 0xff));
    bytes.push_back(static_cast<char>(ids[i] >> 8));
  }
  return bytes;
}

std::string ClassBytes(const Domain& domain) {
  const at::Tensor classes_NT = domain.row_classes_NT.cpu().contiguous();
  const auto* classes = classes_NT.const_data_ptr<uint8_t>();
  return std::string(classes, classes + classes_NT.numel());
}

// Writes the files of `domain` into `folder`; returns its part of probe.json.
absl::StatusOr<Json> WriteDomain(const std::string& folder,
                                 const Domain& domain, int64_t vocabulary) {
  absl::StatusOr<std::string> ids = IdBytes(domain, vocabulary);
  if (!ids.ok()) return ids.status();
  const std::string ids_file = domain.label + ".npy";
  absl::Status s =
      files::WriteDurably(absl::StrCat(folder, "/", ids_file), {*ids});
  if (!s.ok()) return s;
  Json json = {{"label", domain.label},
               {"files", Json::array({{{"path", ids_file},
                                       {"tokens", domain.tokens_NT.numel()},
                                       {"sha256", base::Sha256Hex(*ids)}}})}};
  if (!domain.row_classes_NT.defined()) return json;
  const std::string classes = ClassBytes(domain);
  const std::string classes_file = domain.label + ".classes.u8";
  s = files::WriteDurably(absl::StrCat(folder, "/", classes_file), {classes});
  if (!s.ok()) return s;
  json["row_classes"] = {{"path", classes_file},
                         {"sha256", base::Sha256Hex(classes)},
                         {"names", domain.class_names}};
  return json;
}

absl::Status WriteFiles(const std::string& folder, const ProbeText& probe,
                        int64_t sequence_length) {
  Json json = {{"name", probe.name},
               {"version", probe.version},
               {"tokenizer",
                {{"name", probe.tokenizer}, {"vocab_size", probe.vocabulary}}},
               {"dtype", "uint16"},
               {"sequence_length", sequence_length},
               {"bos_policy", probe.bos_policy},
               {"domains", Json::array()}};
  for (const Domain& domain : probe.domains) {
    absl::StatusOr<Json> written =
        WriteDomain(folder, domain, probe.vocabulary);
    if (!written.ok()) return written.status();
    json["domains"].push_back(*std::move(written));
  }
  const std::string text =
      json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  return files::WriteDurably(absl::StrCat(folder, "/probe.json"), {text});
}

}  // namespace

absl::Status WriteProbe(const std::string& folder, const ProbeText& probe) {
  if (probe.domains.empty() || !probe.domains[0].tokens_NT.defined() ||
      probe.domains[0].tokens_NT.dim() != 2) {
    return absl::InvalidArgumentError(
        "a probe needs a domain of [N, T] tokens");
  }
  if (probe.bos_policy == "prepend") {
    return absl::InvalidArgumentError(
        "bos_policy prepend: tokens of a Domain are written as they are");
  }
  const int64_t sequence_length = probe.domains[0].tokens_NT.size(1);
  for (const Domain& domain : probe.domains) {
    // A label is about to be part of a file's name.
    if (!IsLabel(domain.label)) return DomainError(domain, "is not a label");
    absl::Status s = CheckDomain(domain, sequence_length);
    if (!s.ok()) return s;
  }
  if (absl::Status s = files::BeginFolder(folder); !s.ok()) return s;
  const std::string temporary = files::TemporaryName(folder);
  absl::Status s = WriteFiles(temporary, probe, sequence_length);
  if (!s.ok()) return s;
  // What cannot be read back must not be published.
  if (s = Corpus::Read(temporary).status(); !s.ok()) return s;
  return files::PublishFolder(folder);
}

}  // namespace sinkwatch::probe
