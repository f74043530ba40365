#include "server/discovery/flat_file.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/base/flat_file_name.h"
#include "proto/base/sha256.h"

namespace sinkwatch::discovery {
namespace {

constexpr char kCode[] = "single-file";

const Entry* FindFile(const std::vector<Entry>& entries,
                      absl::string_view name) {
  for (const Entry& entry : entries) {
    const bool is_file = !entry.is_folder && entry.broken.empty();
    if (is_file && entry.name == name) return &entry;
  }
  return nullptr;
}

std::string WhyNot(const std::string& name) {
  return absl::StrCat(
      name, ", a checkpoint in a file of its own, has no config beside it",
      base::MetaNameOf(name).empty()
          ? ""
          : absl::StrCat(" (", base::MetaNameOf(name), ")"),
      ": put its config.json there, give the run a model_config, or put the "
      "file into a folder that is named by its step, as model.pt or "
      "model.safetensors with its config.json");
}

void Append(const Entry& entry, std::string* text) {
  absl::StrAppend(text, entry.name, "\t", entry.size, "\t", entry.modified_ns,
                  "\n");
}

}  // namespace

const Entry* FindConfigOfFile(const std::string& name,
                              const std::vector<Entry>& beside) {
  for (const std::string& wanted :
       {base::MetaNameOf(name), std::string("config.json"),
        std::string("config.yaml"), std::string("params.json")}) {
    const Entry* const found = FindFile(beside, wanted);
    if (found != nullptr) return found;
  }
  return nullptr;
}

Verdict JudgeFile(const std::string& name, const Entry* config,
                  bool has_model_config) {
  Verdict verdict;
  if (absl::EndsWith(name, ".bin") || has_model_config) return verdict;
  if (config != nullptr && config->size > 0) return verdict;
  verdict.code = kCode;
  if (config == nullptr && base::MetaNameOf(name).empty()) {
    verdict.kind = Verdict::Kind::kUnsupported;
    verdict.why = WhyNot(name);
    return verdict;
  }
  verdict.kind = Verdict::Kind::kWaiting;
  verdict.why = config != nullptr
                    ? absl::StrCat(config->name, ", its config, is empty")
                    : absl::StrCat(base::MetaNameOf(name),
                                   " is not there yet, its config");
  verdict.later = Verdict::Kind::kUnsupported;
  verdict.why_later = WhyNot(name);
  return verdict;
}

std::string FingerprintOfFile(const Entry& file, const Entry* config) {
  std::string text;
  Append(file, &text);
  if (config != nullptr) Append(*config, &text);
  return base::Sha256Hex(text);
}

}  // namespace sinkwatch::discovery
