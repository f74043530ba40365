#ifndef SINKWATCH_SERVER_DISCOVERY_LAYOUT_H_
#define SINKWATCH_SERVER_DISCOVERY_LAYOUT_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/types/span.h"
#include "proto/base/step_name.h"
#include "server/discovery/entry.h"

// What the names, sizes and times of a folder say about a checkpoint. Pure
// functions: nothing is read here, and the files themselves never are.
namespace sinkwatch::discovery {

// A folder to be judged.
struct Subject {
  base::StepName name;
  Listing listing;
  // The run gives a configuration for checkpoints that have none.
  bool has_model_config = false;
  // Of a download cache: what only trainers write never comes.
  bool is_download = false;
};

// The code of a folder in which nothing of a form that is known lies.
inline constexpr char kNothingKnown[] = "nothing-known";

// What a layout's rule says of a folder.
struct Verdict {
  enum class Kind { kComplete, kWaiting, kUnsupported };
  Kind kind = Kind::kComplete;
  // Unless complete: why, for a person.
  std::string why;
  // Where it differs: why, once the folder has stood still for the grace time.
  std::string why_later;
  // What the folder then is: as before if that can still come true; complete
  // where all that is missing is what a model does without; else not supported.
  Kind later = Kind::kWaiting;
  // Where one of the two is kUnsupported: which kind it is, in the same word in
  // every release.
  std::string code;
  // Complete, in a form that workers are known to refuse.
  bool refused = false;
};

// A trainer's way to lay a checkpoint out: one file of this folder each
// (layouts.h). The README has them as a table.
struct Layout {
  const char* name;  // for people
  // The files that count, by their path in the folder: '*' is anything, '#' a
  // number. Whichever layout judges a folder, those of every layout count in
  // it: a fingerprint does not change with what a folder is taken for.
  absl::Span<const char* const> files;
  // Whether the folder looks like one of these, also half written.
  bool (*recognises)(const Subject&);
  // Whether it is whole. A broken link to a file that counts never gets here.
  Verdict (*judge)(const Subject&);
};

// The first layout that recognises the folder; nullptr if it is no checkpoint
// at all: its name proves little (1000, epoch_3), and there are no weights in
// it.
const Layout* FindLayout(const Subject& subject);

// What `layout` says of the folder, or which link to one of its files is
// broken; and what comes of it if nothing more does.
Verdict Judge(const Layout& layout, const Subject& subject);

// Whether weights of any kind lie in a folder, those of formats that are not
// read among them.
bool HoldsCheckpoint(const Listing& listing);

// Whether weights that some layout knows lie there, or a part of them.
bool HasKnownWeights(const Listing& listing);

// Whether a file counts: a checkpoint is rewritten when one of these changes.
// `folder` is the sub-folder that it lies in, or empty. Logs, optimizer state,
// trainer state, hidden files and files under way do not.
bool BelongsToCheckpoint(const std::string& folder, const Entry& entry);

// The sub-folders that the files of some layout lie in.
const std::set<std::string>& CountedFolders();

// Whether the checkpoint has a configuration of its own.
bool HasOwnConfig(const Listing& listing);

// SHA-256 (hex) over names, sizes and times of the files that count, those of
// sub-folders too, in the order of their names. `config` is the run's model
// configuration, which counts where the checkpoint has none of its own;
// nullptr: there is none.
std::string Fingerprint(const Listing& listing, const Entry* config = nullptr);

// Latest time of the files that count; 0 if there is none.
int64_t LatestChange(const Listing& listing);

// Latest time of what is under way to become one of them; 0 if there is none.
int64_t LatestUnderWay(const Listing& listing);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LAYOUT_H_
