#ifndef SINKWATCH_SERVER_STORE_MEASUREMENT_ROWS_H_
#define SINKWATCH_SERVER_STORE_MEASUREMENT_ROWS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sqlite3.h"

namespace sinkwatch::store {

// What must be equal for two measurements to share a series: probe digest, spec
// version, dtype, sequence length, BOS policy, protocol.
std::string SeriesOf(const v1::MeasurementHeader& header);

// The series that a run's stage shows: that of its latest commit. NOT_FOUND of
// a stage without measurements.
absl::StatusOr<std::string> ShownSeries(sqlite3* connection,
                                        const std::string& run,
                                        const std::string& stage);

// Adds the definitions of a series of a run to `header`, in their order.
absl::Status ReadDescriptors(sqlite3* connection, const std::string& run,
                             const std::string& series,
                             v1::MeasurementHeader& header);

// Adds the digests of its tensors and what else its trailer listed.
absl::Status ReadTensors(sqlite3* connection, int64_t id,
                         v1::Measurement& measurement);

// A measurement without its vectors.
absl::StatusOr<v1::Measurement> ReadFacts(sqlite3* connection, int64_t id);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_MEASUREMENT_ROWS_H_
