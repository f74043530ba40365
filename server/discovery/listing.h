#ifndef SINKWATCH_SERVER_DISCOVERY_LISTING_H_
#define SINKWATCH_SERVER_DISCOVERY_LISTING_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/discovery/entry.h"

// Names, sizes and times as lstat tells them; no file is opened. Codes of every
// function here: NOT_FOUND if the folder is not there, UNAVAILABLE if it cannot
// be read (both name it); RESOURCE_EXHAUSTED beyond 200,000 entries. Entries
// that vanish while they are looked at are left out.
namespace sinkwatch::discovery {

// The entries of a folder, ascending by name. Links are left out: a checkpoint
// is not reached through `latest`.
absl::StatusOr<std::vector<Entry>> ListFolder(const std::string& path);

// The same with its links. A link to a folder in `confinement` (a real path) is
// a folder, one to a file there that file, both with `link` set; any other is
// an entry with a reason why it is broken. Pipes and devices are files of no
// size.
absl::StatusOr<std::vector<Entry>> ListRoot(const std::string& path,
                                            const std::string& confinement);

// The names in a folder, in no order: a call for hundreds of them, where a
// listing needs one for each.
absl::StatusOr<std::vector<std::string>> ListNames(const std::string& path);

// Of some names in a folder those that are folders and no links.
std::vector<Entry> FoldersNamed(const std::string& path,
                                const std::vector<std::string>& names);

// A checkpoint folder, with those of `folders` that lie in it. A link to a file
// in `confinement` (a real path) counts as that file, as in a download cache,
// in which files are links into ../../blobs; any other link is an entry with a
// reason why it is broken. A sub-folder that is a link is not followed.
absl::StatusOr<Listing> ListCheckpoint(const std::string& path,
                                       const std::string& confinement,
                                       const std::set<std::string>& folders);

// The folder without links.
absl::StatusOr<std::string> RealPath(const std::string& path);

// A file that is configured by its path, links followed.
absl::StatusOr<Entry> LookAtFile(const std::string& path);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LISTING_H_
