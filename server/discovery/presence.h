#ifndef SINKWATCH_SERVER_DISCOVERY_PRESENCE_H_
#define SINKWATCH_SERVER_DISCOVERY_PRESENCE_H_

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "absl/time/time.h"

namespace sinkwatch::discovery {

// Tells a checkpoint that was deleted from one whose file system is away. A
// mount point that has lost its mount is a folder, too, with something in it or
// not; what it is not is the folder that it was. Paths are escaped, as those of
// checkpoints are.
//
// What is gone from a folder was deleted, if
// - the folder is the one that it was (device and inode), but all of three or
//   more checkpoints at once only if they stay away for the grace time; or
// - something that was followed there is there still; or
// - it is not known which folder it was, and a checkpoint is there.
// Else nothing is taken for deleted.
//
// Thread-compatible.
class Presence {
 public:
  // What a look has found in a folder.
  struct Folder {
    size_t gone = 0;         // that were there and are not
    bool has_known = false;  // one that was followed before is there
    bool has_any = false;    // a checkpoint is there
  };

  // `identities`: as identities() was before a restart.
  Presence(std::string root, absl::Duration grace,
           std::map<std::string, std::string> identities);

  // Those of the folders in which nothing was deleted, as far as is known. A
  // folder that is not there is as the root is, which counts what is anywhere
  // below it. `now` is a steady time.
  std::set<std::string> Doubted(const std::map<std::string, Folder>& folders,
                                absl::Time now);
  // What was doubted last, in a sentence; empty if nothing was.
  const std::string& doubt() const { return doubt_; }

  // Which folder each path led to when checkpoints were there: "device:inode".
  const std::map<std::string, std::string>& identities() const {
    return identities_;
  }

 private:
  bool WasDeleted(const std::string& path, const Folder& folder,
                  const std::string& identity, absl::Time now);

  const std::string root_;
  const absl::Duration grace_;
  std::map<std::string, std::string> identities_;
  // Since when all of a folder's checkpoints are gone.
  std::map<std::string, absl::Time> all_gone_since_;
  std::string doubt_;
};

// The folder that holds what `path` leads to.
std::string ParentOf(const std::string& path);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_PRESENCE_H_
