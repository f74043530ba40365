#ifndef SINKWATCH_SERVER_NAMES_H_
#define SINKWATCH_SERVER_NAMES_H_

#include "absl/strings/string_view.h"

// Names that stand in the configuration, in labels and in URLs alike.
namespace sinkwatch::server {

// [a-z0-9][a-z0-9._-]{0,63}: what a run may be called.
bool IsRunName(absl::string_view name);

// One host:port, as 127.0.0.1:17460. A host is needed: without one a port would
// be open on every interface.
bool IsAddress(absl::string_view text);

// [a-z][a-z0-9_]{0,63}: what a worker may call a metric.
bool IsMetricName(absl::string_view name);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_NAMES_H_
