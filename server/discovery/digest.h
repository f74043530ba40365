#ifndef SINKWATCH_SERVER_DISCOVERY_DIGEST_H_
#define SINKWATCH_SERVER_DISCOVERY_DIGEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "sinkwatch/v1/checkpoint.pb.h"

namespace sinkwatch::discovery {

// The probe in `folder`: its name, and as digest the SHA-256 of probe.json,
// which holds the sha256 of every other file. probe.json (at most 1 MiB) is the
// one file that the server reads for a run. INVALID_ARGUMENT names what is
// wrong with it, UNAVAILABLE is a read error.
absl::StatusOr<v1::Probe> ReadProbe(const std::string& folder);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_DIGEST_H_
