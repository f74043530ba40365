#ifndef SINKWATCH_SERVER_DISCOVERY_JUDGED_H_
#define SINKWATCH_SERVER_DISCOVERY_JUDGED_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "server/discovery/candidates.h"
#include "server/discovery/entry.h"
#include "server/discovery/layout.h"

namespace sinkwatch::discovery {

// The code of a bad row of a manifest.
inline constexpr char kBadRow[] = "manifest-row";

// A candidate after a look at its folder.
struct Judged {
  Candidate candidate;
  bool was_listed = false;  // not: the folder is not there, cannot be read,
  absl::Status status;      // or is that of a bad row
  bool is_none = false;     // no checkpoint at all
  Verdict verdict;
  std::string fingerprint;
  int64_t changed_ns = 0;    // the latest time of its files
  int64_t under_way_ns = 0;  // of files that are on the way to be some
  bool has_folders = false;
  // Whether it needs no look as long as its folder's own time stays.
  bool is_settled = false;
  // Number of the last look that told of it as it is; 0: none.
  int64_t told = 0;
};

// What a look at a folder takes from its run.
struct LookContext {
  const std::string& real_root;
  const std::set<std::string>& downloads;  // hashes, in a download cache
  const std::optional<Entry>& model_config;
};

// Lists a candidate's folder and says what it is. None: it is gone since.
std::optional<Judged> LookAt(Candidate candidate, const LookContext& context);

// Likewise of one that was looked at before: a file as it is now.
std::optional<Judged> LookAgain(Candidate candidate,
                                const LookContext& context);

// Of a folder that still waits after the grace time, or of which nothing is
// known: whether its weights lie further down, where nobody reads them, as its
// verdict then says. Lists folders below it.
void LookBelow(const std::string& real_root, Judged* judged);

// Whether two looks at a candidate found the same.
bool IsSameContent(const Judged& left, const Judged& right);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_JUDGED_H_
