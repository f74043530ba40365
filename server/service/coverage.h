#ifndef SINKWATCH_SERVER_SERVICE_COVERAGE_H_
#define SINKWATCH_SERVER_SERVICE_COVERAGE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::service {

// Which values of a measurement came, and whether that is all that its header
// promises but for what its trailer says is absent: of each metric every
// domain, and of one with layers every layer from 0 (-1, the embedding, is
// nobody's promise). A sparse metric is of what was asked for, and promises
// nothing.
//
// Thread-compatible.
class Coverage {
 public:
  // Notes a vector; false if it came before.
  bool Add(const v1::MetricVector& vector);

  // INVALID_ARGUMENT names the first metric, domain and layer that lack, or an
  // absence of an unknown metric or without a reason.
  absl::Status Check(const v1::MeasurementHeader& header,
                     const v1::MeasurementTrailer& trailer) const;

 private:
  using Layers = std::set<int32_t>;
  // The layers of a metric in a domain; of model scope kNoLayer.
  using Places = std::map<std::pair<std::string, std::string>, Layers>;

  // What a trailer says is absent, by metric and domain.
  using Absences = std::map<std::pair<std::string, std::string>,
                            std::vector<const v1::AbsentValues*>>;

  static absl::Status CheckAbsences(const v1::MeasurementHeader& header,
                                    const v1::MeasurementTrailer& trailer);
  absl::Status CheckMetric(const v1::MetricDescriptor& metric, int32_t layers,
                           const std::string& domain,
                           const Absences& absences) const;

  Places came_;
  std::set<std::string> domains_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_COVERAGE_H_
