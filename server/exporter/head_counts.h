#ifndef SINKWATCH_SERVER_EXPORTER_HEAD_COUNTS_H_
#define SINKWATCH_SERVER_EXPORTER_HEAD_COUNTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "sinkwatch/v1/analysis_service.pb.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

// What the heads of one measurement do.
struct HeadCounts {
  // By domain: how many heads are in each state; none where no head has a
  // dormancy.
  std::map<std::string, std::map<v1::HeadState, int64_t>> states;
  // Heads that switch between the probe's labels, or the classes of its only
  // one; none with one domain, and where it is known of no head.
  std::optional<int64_t> switching;
};

// By what its metrics say they stand for, of one measurement alone: without the
// memory of the checkpoints before that `sinkctl states` has. Empty if none
// tells dormancy.
HeadCounts CountHeads(const v1::Measurement& measurement);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_HEAD_COUNTS_H_
