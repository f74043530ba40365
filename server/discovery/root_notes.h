#ifndef SINKWATCH_SERVER_DISCOVERY_ROOT_NOTES_H_
#define SINKWATCH_SERVER_DISCOVERY_ROOT_NOTES_H_

#include <string>
#include <vector>

#include "server/discovery/candidates.h"

namespace sinkwatch::discovery {

// What a person should know of a root, a sentence each: which root would work
// where nothing in it is a checkpoint (it is one itself, or one level too
// high), and what the checkpoints' numbers count where they are no steps.
// `followed` are those of `found` that are checkpoints. Lists the root where
// there is none.
std::vector<std::string> RootNotes(
    const std::string& root, const std::string& real_root, const Found& found,
    const std::vector<const Candidate*>& followed);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_ROOT_NOTES_H_
