#ifndef SINKWATCH_WORKER_LOOP_ABSENCES_H_
#define SINKWATCH_WORKER_LOOP_ABSENCES_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sinkwatch/v1/measurement.pb.h"
#include "worker/measure/measure.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::worker {

// Which values that a measurement's header promises were not measured, and why
// not: what the trailer tells the server, so that it can tell a metric without
// meaning from one that was lost on the way.
//
// Thread-compatible.
class Absences {
 public:
  // Call once, first.
  void Start(const MeasureFacts& facts);
  // Whatever is sent.
  void Note(const std::vector<metrics::MetricVector>& values);

  // After the last value: one for each metric and domain that lacks something.
  std::vector<v1::AbsentValues> List() const;

 private:
  std::set<int32_t> LackOf(const metrics::Descriptor& metric,
                           const std::string& domain) const;
  std::string ReasonFor(const metrics::Descriptor& metric,
                        const std::string& domain) const;

  std::vector<metrics::Descriptor> metrics_;
  int32_t layers_ = 0;
  std::set<std::string> domains_;
  // Layers that came, by metric and domain; kNoLayer of model scope.
  std::map<std::pair<std::string, std::string>, std::set<int32_t>> came_;
  std::set<std::string> metrics_that_came_;
};

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_ABSENCES_H_
