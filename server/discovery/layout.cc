#include "server/discovery/layout.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/sha256.h"
#include "server/discovery/digest.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

// Names alone, then signs that only one trainer leaves, then what is left.
const Layout* const kLayouts[] = {&kGptNeox, &kNanotron,   &kHfTrainer,
                                  &kOlmo,    &kTorchDcp,   &kOlmoCore,
                                  &kDcpHf,   &kHuggingFace};

// Weights and what names them, at the top of the folder or in model_and_optim.
bool IsWeightFile(const std::string& name) {
  return name == "model.safetensors" ||
         name == "model.safetensors.index.json" ||
         name == "pytorch_model.bin" ||
         name == "pytorch_model.bin.index.json" || name == "model.pt" ||
         name == ".metadata" || absl::EndsWith(name, ".distcp") ||
         ParseShard(name, "model", "safetensors").has_value() ||
         ParseShard(name, "pytorch_model", "bin").has_value() ||
         (absl::StartsWith(name, "shard-") &&
          absl::EndsWith(name, ".safetensors")) ||
         (absl::StartsWith(name, "rank") && absl::EndsWith(name, ".pt"));
}

// Every file that counts, by its path in the folder.
std::map<std::string, const Entry*> FilesOf(const Listing& listing) {
  std::map<std::string, const Entry*> files;
  for (const Entry& entry : listing.entries) {
    if (BelongsToCheckpoint("", entry)) files[entry.name] = &entry;
  }
  for (const auto& [folder, entries] : listing.folders) {
    for (const Entry& entry : entries) {
      if (!BelongsToCheckpoint(folder, entry)) continue;
      files[absl::StrCat(folder, "/", entry.name)] = &entry;
    }
  }
  return files;
}

void AppendFile(const std::string& path, const Entry& entry,
                std::string* text) {
  absl::StrAppend(text, path, "\t", entry.size, "\t", entry.modified_ns, "\n");
}

}  // namespace

const Layout* FindLayout(const Subject& subject) {
  const bool may_be_any = subject.name.form != base::NameForm::kNumber;
  for (const Layout* layout : kLayouts) {
    if (layout->recognises(subject) && (may_be_any || layout == &kNanotron)) {
      return layout;
    }
  }
  return nullptr;
}

Verdict Judge(const Layout& layout, const Subject& subject) {
  for (const auto& [path, entry] : FilesOf(subject.listing)) {
    if (!entry->broken.empty()) {
      return WaitingFor(absl::StrCat(path, " ", entry->broken));
    }
  }
  for (const Entry& entry : subject.listing.entries) {
    if (entry.name == "model_and_optim" && !entry.broken.empty()) {
      return WaitingFor(absl::StrCat(entry.name, " ", entry.broken));
    }
  }
  return layout.judge(subject);
}

bool BelongsToCheckpoint(const std::string& folder, const Entry& entry) {
  if (entry.is_folder || base::IsUnderWay(entry.name)) return false;
  if (folder == "model" && absl::EndsWith(entry.name, ".safetensors")) {
    return true;
  }
  return IsWeightFile(entry.name) ||
         (folder.empty() &&
          (entry.name == "config.json" || entry.name == "config.yaml"));
}

bool HasOwnConfig(const Listing& listing) {
  return FindFile(listing.entries, "config.json") != nullptr ||
         FindFile(listing.entries, "config.yaml") != nullptr;
}

std::string Fingerprint(const Listing& listing, const Entry* config) {
  std::string text;
  for (const auto& [path, entry] : FilesOf(listing)) {
    AppendFile(path, *entry, &text);
  }
  if (config != nullptr && !HasOwnConfig(listing)) {
    AppendFile("the run's model_config", *config, &text);
  }
  return base::Sha256Hex(text);
}

int64_t LatestChange(const Listing& listing) {
  int64_t latest = 0;
  for (const auto& [path, entry] : FilesOf(listing)) {
    latest = std::max(latest, entry->modified_ns);
  }
  return latest;
}

}  // namespace sinkwatch::discovery
