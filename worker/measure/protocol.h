#ifndef SINKWATCH_WORKER_MEASURE_PROTOCOL_H_
#define SINKWATCH_WORKER_MEASURE_PROTOCOL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sinkwatch::worker {

// How a published number was measured, so far as it is a choice: what to
// measure, and what the probe must be like. A number that is laid beside it is
// else of something else.
struct Protocol {
  std::string name;
  std::string shows;  // one line for --help
  std::string citation;
  // Instead of the default ones; beside those that are named.
  std::vector<std::string> metrics;
  // Tokens of a sequence; 0: any.
  int64_t sequence_length = 0;
  // What the probe may say of its first tokens; empty: anything.
  std::vector<std::string> bos_policies;
  // What the source calls a sink, an outlier, a class, and where ours differs.
  std::string definitions;
};

const std::vector<Protocol>& Protocols();

// INVALID_ARGUMENT lists the names there are.
absl::StatusOr<Protocol> FindProtocol(const std::string& name);

// INVALID_ARGUMENT, naming the rule, if a probe is not as the protocol has it.
absl::Status CheckProbe(const Protocol& protocol, int64_t sequence_length,
                        const std::string& bos_policy);

// The metrics of a measurement that follows it, where `named` ask for more.
std::vector<std::string> MetricsOf(const Protocol& protocol,
                                   const std::vector<std::string>& named);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_MEASURE_PROTOCOL_H_
