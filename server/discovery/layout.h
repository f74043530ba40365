#ifndef SINKWATCH_SERVER_DISCOVERY_LAYOUT_H_
#define SINKWATCH_SERVER_DISCOVERY_LAYOUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the names, sizes and times of a folder say about a checkpoint. Pure
// functions: nothing is read here, and the files themselves never are.
namespace sinkwatch::discovery {

// An entry of a folder.
struct Entry {
  std::string name;
  bool is_folder = false;
  int64_t size = 0;
  int64_t modified_ns = 0;  // since the epoch
};

// What a checkpoint folder's name says.
struct StepName {
  std::string stage;  // "stage1", "stage2-ingredient1", or empty
  int64_t step = 0;
  int64_t tokens = 0;  // as rounded in the name; 0 if it is not there
};

// Reads step1000, step-1000, step_1000, step1000-tokens4B,
// stage1-step150-tokens1B, stage2-ingredient1-step11931-tokens50B and
// checkpoint-1000. None for any other name: folders under way (-tmp, tmp-,
// .tmp, .incomplete), links such as latest, converted siblings (-hf).
std::optional<StepName> ParseStepName(const std::string& name);

// Why a folder is not a whole checkpoint yet; empty if it is one. Whole means:
// a config.json with something in it, and either model.safetensors, or
// model.safetensors.index.json with every shard, by name, that the shards' own
// names (model-00001-of-00003.safetensors) ask for; no file empty, nothing
// under way beside them. The worker checks the bytes.
std::string WhyIncomplete(const std::vector<Entry>& entries);

// Whether a file of the folder counts: a checkpoint is rewritten when one of
// these changes. Logs, optimizer state and hidden files do not.
bool BelongsToCheckpoint(const Entry& entry);

// SHA-256 (hex) over names, sizes and times of the files that count, in the
// order of their names.
std::string Fingerprint(const std::vector<Entry>& entries);

// Latest time of the files that count; 0 if there is none.
int64_t LatestChange(const std::vector<Entry>& entries);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LAYOUT_H_
