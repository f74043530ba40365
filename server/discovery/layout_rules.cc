#include "server/discovery/layout_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace sinkwatch::discovery {
namespace {

constexpr char kSafetensors[] = "model.safetensors";

constexpr char kTorch[] = "model.pt";

// A family of weight files: model[-00001-of-00003].safetensors, its index.
struct Family {
  const char* stem;
  const char* suffix;
  std::string Single() const { return absl::StrCat(stem, ".", suffix); }
  std::string Index() const { return Single() + ".index.json"; }
};
constexpr Family kFamilies[] = {{"model", "safetensors"},
                                {"pytorch_model", "bin"}};

bool HasShards(const Entries& entries, const Family& family) {
  return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
    return !entry.is_folder &&
           ParseShard(entry.name, family.stem, family.suffix).has_value();
  });
}

// The shards of one set: model-00001-of-00003 and its kin.
struct ShardSet {
  std::set<int64_t> present;
  std::string empty;  // the first that is
};

std::map<int64_t, ShardSet> ShardSets(const Entries& entries,
                                      const Family& family) {
  std::map<int64_t, ShardSet> sets;
  for (const Entry& entry : entries) {
    const auto shard = ParseShard(entry.name, family.stem, family.suffix);
    if (!shard.has_value() || entry.is_folder) continue;
    ShardSet& set = sets[shard->count];
    if (entry.size == 0) {
      if (set.empty.empty()) set.empty = entry.name;
    } else if (shard->number >= 1 && shard->number <= shard->count) {
      set.present.insert(shard->number);
    }
  }
  return sets;
}

// Why no set is whole; there is at least one shard. Which set the index lists
// is not known here: a second one is no obstacle, and if it was the wrong one
// the worker says what is missing.
std::string WhyShardsMissing(const Entries& entries, const Family& family) {
  std::string why;
  for (const auto& [count, set] : ShardSets(entries, family)) {
    const auto found = static_cast<int64_t>(set.present.size());
    if (found == count) return "";
    if (!why.empty()) absl::StrAppend(&why, ", ");
    if (set.empty.empty()) {
      absl::StrAppendFormat(&why, "%d of %d shards are there", found, count);
    } else {
      absl::StrAppend(&why, set.empty, " is empty");
    }
  }
  return why;
}

// Whether the family's weights are whole, whatever else is of it. Without an
// index there may be one set of shards only.
bool IsWhole(const Entries& entries, const Family& family) {
  if (WhyFileMissing(entries, family.Single()).empty()) return true;
  if (!HasShards(entries, family) ||
      !WhyShardsMissing(entries, family).empty()) {
    return false;
  }
  return FindFile(entries, family.Index()) == nullptr
             ? ShardSets(entries, family).size() == 1
             : WhyFileMissing(entries, family.Index()).empty();
}

std::string WhyFamilyMissing(const Entries& entries, const Family& family) {
  const std::string index = family.Index();
  const bool has_shards = HasShards(entries, family);
  if (has_shards || FindFile(entries, index) != nullptr) {
    const std::string why = WhyFileMissing(entries, index);
    if (!why.empty()) return why;
  }
  if (has_shards) return WhyShardsMissing(entries, family);
  if (FindFile(entries, family.Single()) != nullptr) {
    return WhyFileMissing(entries, family.Single());
  }
  return absl::StrCat(index, " has no shards beside it yet");
}

// Whether the name is "__", `count` numbers with '_' between them, `suffix`.
bool IsOfRank(const std::string& name, size_t count, const char* suffix) {
  absl::string_view rest = name;
  if (!absl::ConsumePrefix(&rest, "__") ||
      !absl::ConsumeSuffix(&rest, suffix)) {
    return false;
  }
  const std::vector<std::string> numbers = absl::StrSplit(rest, '_');
  int64_t number = 0;
  return numbers.size() == count &&
         std::all_of(numbers.begin(), numbers.end(),
                     [&](const std::string& text) {
                       return absl::SimpleAtoi(text, &number);
                     });
}

bool IsDcpData(const std::string& name) { return IsOfRank(name, 2, ".distcp"); }

bool IsRankMetadata(const std::string& name) {
  return IsOfRank(name, 1, ".metadata");
}

}  // namespace

const Entry* FindFile(const Entries& entries, const std::string& name) {
  for (const Entry& entry : entries) {
    if (!entry.is_folder && entry.name == name) return &entry;
  }
  return nullptr;
}

const Entries* FindFolder(const Listing& listing, const std::string& name) {
  const auto folder = listing.folders.find(name);
  return folder == listing.folders.end() ? nullptr : &folder->second;
}

std::string WhyFileMissing(const Entries& entries, const std::string& name) {
  const Entry* entry = FindFile(entries, name);
  if (entry == nullptr) return absl::StrCat(name, " is not there yet");
  if (entry->size == 0) return absl::StrCat(name, " is empty");
  return "";
}

std::optional<Shard> ParseShard(const std::string& name,
                                const std::string& stem,
                                const std::string& suffix) {
  absl::string_view rest = name;
  absl::ConsumePrefix(&rest, "ft-");  // torchtune's
  if (!absl::ConsumePrefix(&rest, stem + "-") ||
      !absl::ConsumeSuffix(&rest, "." + suffix)) {
    return std::nullopt;
  }
  const std::vector<std::string> parts = absl::StrSplit(rest, "-of-");
  Shard shard;
  const auto read = [](const std::string& digits, int64_t* number) {
    return digits.size() < 10 && !digits.empty() &&
           digits.find_first_not_of("0123456789") == std::string::npos &&
           absl::SimpleAtoi(digits, number);
  };
  if (parts.size() != 2 || !read(parts[0], &shard.number) ||
      !read(parts[1], &shard.count)) {
    return std::nullopt;
  }
  return shard;
}

std::string WhyWeightsMissing(const Entries& entries) {
  std::string why;
  for (const Family& family : kFamilies) {
    const bool has_head = FindFile(entries, family.Index()) != nullptr ||
                          FindFile(entries, family.Single()) != nullptr;
    if (!has_head && !HasShards(entries, family)) continue;
    const std::string missing = WhyFamilyMissing(entries, family);
    if (has_head || missing.empty()) return missing;
    if (why.empty()) why = missing;  // unless another family is whole
  }
  if (!why.empty()) return why;
  if (FindFile(entries, kTorch) != nullptr) {
    return WhyFileMissing(entries, kTorch);
  }
  return absl::StrCat(kSafetensors, " is not there yet");
}

bool HasWholeWeights(const Entries& entries) {
  for (const Family& family : kFamilies) {
    if (IsWhole(entries, family)) return true;
  }
  return WhyFileMissing(entries, kTorch).empty();
}

bool IsWholeHuggingFace(const Subject& subject) {
  const Entries& entries = subject.listing.entries;
  const Entry* const config = FindFile(entries, "config.json");
  if (config == nullptr ? !subject.has_model_config : config->size == 0) {
    return false;
  }
  return HasWholeWeights(entries);
}

bool HasDcpFiles(const Entries& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
    return !entry.is_folder &&
           (entry.name == ".metadata" || IsDcpData(entry.name) ||
            IsRankMetadata(entry.name));
  });
}

bool HasRankFiles(const Entries& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
    absl::string_view rest = entry.name;
    int64_t rank = 0;
    return !entry.is_folder && absl::ConsumePrefix(&rest, "rank") &&
           absl::ConsumeSuffix(&rest, ".pt") && absl::SimpleAtoi(rest, &rank);
  });
}

Verdict Complete() { return {}; }

Verdict WaitingFor(std::string why) {
  Verdict verdict;
  if (why.empty()) return verdict;
  verdict.kind = Verdict::Kind::kWaiting;
  verdict.why = std::move(why);
  return verdict;
}

Verdict Unsupported(const char* code, std::string why) {
  Verdict verdict;
  verdict.code = code;
  verdict.kind = Verdict::Kind::kUnsupported;
  verdict.why = std::move(why);
  return verdict;
}

Verdict JudgeDcp(const Entries& entries, const std::string& folder) {
  const std::string why = WhyFileMissing(entries, ".metadata");
  bool has_data = false;
  bool has_rank_metadata = false;
  for (const Entry& entry : entries) {
    if (entry.is_folder) continue;
    // A rank that had nothing to write leaves an empty file.
    has_data |= entry.size > 0 && IsDcpData(entry.name);
    has_rank_metadata |= IsRankMetadata(entry.name);
  }
  if (!why.empty() && has_rank_metadata) {
    return Unsupported(
        "dcp-without-collectives",
        absl::StrCat(folder,
                     "__<rank>.metadata, a save without collectives, is not "
                     "supported: save with use_collectives, which writes one "
                     ".metadata"));
  }
  if (!why.empty()) return WaitingFor(absl::StrCat(folder, why));
  if (has_data) return Complete();
  return WaitingFor(
      absl::StrCat(folder, ".metadata has no .distcp files beside it yet"));
}

std::string ConfigsOfOthers(const Entries& entries) {
  std::vector<std::string> found;
  for (const char* name :
       {"params.json", "model_config.yaml", "model_config.json",
        "train_config.json", "hparams.yaml"}) {
    if (FindFile(entries, name) != nullptr) found.emplace_back(name);
  }
  if (found.empty()) return "";
  return absl::StrCat(" (", absl::StrJoin(found, ", "),
                      " is there and is not read)");
}

Verdict WaitingForConfig(const Subject& subject,
                         const std::string& what_is_whole) {
  const Entries& entries = subject.listing.entries;
  const std::string why = WhyFileMissing(entries, "config.json");
  if (why.empty()) return Complete();
  if (FindFile(entries, "config.json") != nullptr) return WaitingFor(why);
  if (subject.has_model_config) return Complete();
  Verdict verdict = WaitingFor(absl::StrCat(why, "; ", what_is_whole));
  verdict.why_later = absl::StrCat(
      "config.json missing, though ", what_is_whole, ConfigsOfOthers(entries),
      ": if this trainer writes none, give the run a model_config");
  return verdict;
}

}  // namespace sinkwatch::discovery
