#ifndef SINKWATCH_SERVER_DISCOVERY_UNKNOWN_FOLDER_H_
#define SINKWATCH_SERVER_DISCOVERY_UNKNOWN_FOLDER_H_

#include <cstdint>
#include <map>
#include <string>

#include "server/discovery/left_alone.h"

namespace sinkwatch::discovery {

// What is in a folder whose name tells no step.
struct UnknownFolder {
  WhyAlone why = WhyAlone::kNoCheckpoint;  // kNoStep, kBelow, or that
  // Of kBelow: the folder that would work as a root, as a path below the one
  // that was looked into (empty: that one), and a checkpoint in it.
  std::string root;
  std::string checkpoint;
};

// What lies below a folder whose name tells a step and in which no weights lie:
// kBelow, or kNoCheckpoint. Folders of parts that are known, of an optimizer
// and those of a save that is not at its end are not looked into.
UnknownFolder FindBelow(const std::string& path, const std::string& real_root);

// Looks into such folders, remembers what it saw, and looks again when the
// folder's own time changes and at each 16th look at the latest. A look lists
// at most 32 folders below each.
//
// Thread-compatible.
class UnknownFolders {
 public:
  const UnknownFolder& LookInto(const std::string& path, int64_t modified_ns,
                                const std::string& real_root);
  // Ends a look: forgets what was not asked for in it.
  void NextLook();

 private:
  struct Known {
    UnknownFolder folder;
    int64_t modified_ns = 0;
    int64_t looked = 0;  // at which look
    int64_t asked = 0;
  };
  int64_t look_ = 0;
  std::map<std::string, Known> known_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_UNKNOWN_FOLDER_H_
