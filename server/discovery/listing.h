#ifndef SINKWATCH_SERVER_DISCOVERY_LISTING_H_
#define SINKWATCH_SERVER_DISCOVERY_LISTING_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/discovery/layout.h"

namespace sinkwatch::discovery {

// The entries of a folder: names, sizes and times, no file opened. Links are
// left out (a checkpoint is not reached through `latest`). Entries that vanish
// while they are looked at are left out too. NOT_FOUND if the folder is not
// there, UNAVAILABLE if it cannot be read (both name it); RESOURCE_EXHAUSTED
// beyond 200,000 entries.
absl::StatusOr<std::vector<Entry>> ListFolder(const std::string& path);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LISTING_H_
