#ifndef SINKWATCH_SERVER_DISCOVERY_MANIFEST_H_
#define SINKWATCH_SERVER_DISCOVERY_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// The CSV list of a published series, as OLMo's repositories have them.
namespace sinkwatch::discovery {

// A row: one checkpoint, and where it is published.
struct ManifestRow {
  std::string stage;  // "stage1_pretraining", "ingredient1", "soup", or empty
  bool is_ingredient = false;  // of a stage that the manifest does not name
  int64_t step = 0;
  int64_t tokens = 0;  // 0 if the manifest has no such column
  // Path components of the directory, its scheme and host left out:
  // {"ai2-llm", "peteish7", "step1000-unsharded"}.
  std::vector<std::string> path;
  // Empty, or why the row is not to be followed: file, line and rule.
  std::string why_bad;
};

struct Manifest {
  std::vector<ManifestRow> rows;
  // How many components at the front all rows have in common. What follows them
  // tells the rows apart, so it is what must be found under a run's root.
  size_t common = 0;
};

// Reads the four header forms that are published:
//   Step,Checkpoint Directory
//   Ingredient,Step,Checkpoint Directory
//   Stage,Step,Checkpoint Directory
//   Stage,Step,Tokens Seen,Checkpoint Directory
// A numeric ingredient N becomes stage "ingredientN". A row that is there twice
// counts once; two directories of one step are both kept (a series that was
// resumed elsewhere). A row is bad, and the others are not, when the name of
// its directory has another step than the row, or when another stage or step
// has the same directory (then both are: which of them is right is not known).
// INVALID_ARGUMENT names file, line and the first rule that is broken: another
// header, another number of fields, quotes, a step or token count that is no
// number, a stage that is no name, a directory that is no plain path.
absl::StatusOr<Manifest> ParseManifest(const std::string& name,
                                       const std::string& text);

// The file, of at most 16 MiB.
absl::StatusOr<Manifest> ReadManifest(const std::string& path);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_MANIFEST_H_
