#ifndef SINKWATCH_SERVER_STORE_SEQUENCE_VALUES_H_
#define SINKWATCH_SERVER_STORE_SEQUENCE_VALUES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sqlite3.h"

// What single sequences gave: table sequence_values, a row per measurement,
// metric, domain and layer.
namespace sinkwatch::store {

// INVALID_ARGUMENT of a vector whose values have not equally many sequences.
absl::Status CheckSequences(const v1::Measurement& measurement);

// Writes those of the vectors that have some.
absl::Status InsertSequences(sqlite3* connection, int64_t id,
                             const v1::Measurement& measurement);

// The rows of a measurement as they lie in the file.
using SequenceKey =
    std::tuple<std::string, std::string, std::optional<int>>;  // metric, domain
using StoredSequences = std::map<SequenceKey, std::string>;
absl::StatusOr<StoredSequences> ReadSequenceBlobs(sqlite3* connection,
                                                  int64_t id);

// Gives the vectors of a measurement what belongs to them. DATA_LOSS, naming
// the vector, where it cannot be read.
absl::Status AddSequences(const StoredSequences& stored,
                          v1::Measurement& measurement);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_SEQUENCE_VALUES_H_
