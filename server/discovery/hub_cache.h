#ifndef SINKWATCH_SERVER_DISCOVERY_HUB_CACHE_H_
#define SINKWATCH_SERVER_DISCOVERY_HUB_CACHE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/discovery/candidates.h"
#include "server/discovery/step_folders.h"
#include "sinkwatch/v1/config.pb.h"

// Hugging Face's download cache: a repository folder models--org--name with
// refs/<revision> (a file that holds a commit), snapshots/<commit>/<file> ->
// ../../blobs/<hash>, and blobs/<hash>[.<anything>].incomplete while a file is
// downloaded. A series of checkpoints is many revisions of one repository.
namespace sinkwatch::discovery {

// Whether a run's root with these entries is such a repository folder.
bool IsHubCache(const std::vector<Entry>& entries);

// What else lies in such a folder.
std::vector<Entry> BesideHubCache(const std::vector<Entry>& entries);

// Adds a candidate for each revision whose name is one of a step (stage1/step5
// is of stage "stage1"), and for each step folder in the snapshot of another
// one (of main without, of others with its name as the stage). Pull requests,
// such revisions without step folders, and snapshots that none names are left
// alone. Reads the files in refs, 64 bytes of each.
absl::Status FindRevisions(const Naming& naming, UnknownFolders& unknown,
                           Found* found);

// The hashes of blobs that are being downloaded.
absl::StatusOr<std::set<std::string>> DownloadsIn(const std::string& root);

// Marks the links to such blobs as broken.
void MarkDownloads(const std::set<std::string>& downloads, Listing* listing);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_HUB_CACHE_H_
