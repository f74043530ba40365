#include "server/discovery/layout.h"

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/discovery/digest.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kLongestName = 200;
constexpr char kWeights[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";
constexpr char kConfig[] = "config.json";

bool IsUnderWay(const std::string& name) {
  return absl::EndsWith(name, "-tmp") || absl::EndsWith(name, ".tmp") ||
         absl::StartsWith(name, "tmp") || absl::EndsWith(name, ".incomplete") ||
         absl::EndsWith(name, ".part");
}

int64_t TokenCount(const std::string& digits, const std::string& unit) {
  int64_t tokens = 0;
  if (!absl::SimpleAtoi(digits, &tokens)) return 0;
  static const std::map<std::string, int64_t> kUnits = {{"", 1},
                                                        {"K", 1000},
                                                        {"M", 1000000},
                                                        {"B", 1000000000},
                                                        {"T", 1000000000000}};
  const int64_t factor = kUnits.at(unit);
  return tokens > INT64_MAX / factor ? 0 : tokens * factor;
}

// Which shard of how many a file is.
struct Shard {
  int64_t number;
  int64_t count;
};

// Reads "model-00001-of-00003.safetensors".
std::optional<Shard> ParseShard(const std::string& name) {
  static const std::regex kPattern(
      R"(model-(\d{1,9})-of-(\d{1,9})\.safetensors)");
  std::smatch match;
  Shard shard;
  if (name.size() > kLongestName || !std::regex_match(name, match, kPattern) ||
      !absl::SimpleAtoi(match[1].str(), &shard.number) ||
      !absl::SimpleAtoi(match[2].str(), &shard.count)) {
    return std::nullopt;
  }
  return shard;
}

const Entry* Find(const std::vector<Entry>& entries, const std::string& name) {
  for (const Entry& entry : entries) {
    if (!entry.is_folder && entry.name == name) return &entry;
  }
  return nullptr;
}

std::string WhyFileIncomplete(const std::vector<Entry>& entries,
                              const std::string& name) {
  const Entry* entry = Find(entries, name);
  if (entry == nullptr) return absl::StrCat(name, " is not there yet");
  if (entry->size == 0) return absl::StrCat(name, " is empty");
  return "";
}

std::string WhyShardsIncomplete(const std::vector<Entry>& entries) {
  int64_t count = 0;
  std::set<int64_t> present;
  for (const Entry& entry : entries) {
    const auto shard = ParseShard(entry.name);
    if (!shard.has_value() || entry.is_folder) continue;
    if (entry.size == 0) return absl::StrCat(entry.name, " is empty");
    if (count != 0 && count != shard->count) {
      return absl::StrFormat("shards of %d and of %d lie side by side", count,
                             shard->count);
    }
    count = shard->count;
    if (shard->number >= 1 && shard->number <= count) {
      present.insert(shard->number);
    }
  }
  if (count == 0) return absl::StrCat(kIndex, " has no shards beside it yet");
  const auto found = static_cast<int64_t>(present.size());
  if (found == count) return "";
  return absl::StrFormat("%d of %d shards are there", found, count);
}

}  // namespace

std::optional<StepName> ParseStepName(const std::string& name) {
  if (name.size() > kLongestName || IsUnderWay(name)) return std::nullopt;
  static const std::regex kPattern(
      R"((?:(stage\d+(?:-ingredient\d+)?|ingredient\d+)-)?)"
      R"((?:step|checkpoint)[-_]?(\d+))"
      R"((?:-tokens(\d+)([KMBT]?))?)");
  std::smatch match;
  if (!std::regex_match(name, match, kPattern)) return std::nullopt;
  StepName parsed;
  parsed.stage = match[1].str();
  if (!absl::SimpleAtoi(match[2].str(), &parsed.step)) return std::nullopt;
  if (match[3].matched) {
    parsed.tokens = TokenCount(match[3].str(), match[4].str());
  }
  return parsed;
}

std::string WhyIncomplete(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (IsUnderWay(entry.name)) {
      return absl::StrCat(entry.name, " is still being written");
    }
  }
  std::string why = WhyFileIncomplete(entries, kConfig);
  if (!why.empty()) return why;
  if (Find(entries, kIndex) != nullptr) {
    why = WhyFileIncomplete(entries, kIndex);
    return why.empty() ? WhyShardsIncomplete(entries) : why;
  }
  for (const Entry& entry : entries) {
    if (ParseShard(entry.name).has_value()) {
      return absl::StrCat(kIndex, " is not there yet");
    }
  }
  return WhyFileIncomplete(entries, kWeights);
}

bool BelongsToCheckpoint(const Entry& entry) {
  return !entry.is_folder &&
         (entry.name == kConfig || entry.name == kWeights ||
          entry.name == kIndex || ParseShard(entry.name).has_value());
}

std::string Fingerprint(const std::vector<Entry>& entries) {
  std::map<std::string, const Entry*> files;
  for (const Entry& entry : entries) {
    if (BelongsToCheckpoint(entry)) files[entry.name] = &entry;
  }
  std::string text;
  for (const auto& [name, entry] : files) {
    absl::StrAppend(&text, name, "\t", entry->size, "\t", entry->modified_ns,
                    "\n");
  }
  return Sha256Hex(text);
}

int64_t LatestChange(const std::vector<Entry>& entries) {
  int64_t latest = 0;
  for (const Entry& entry : entries) {
    if (BelongsToCheckpoint(entry)) {
      latest = std::max(latest, entry.modified_ns);
    }
  }
  return latest;
}

}  // namespace sinkwatch::discovery
