#ifndef SINKWATCH_SERVER_STORE_SAME_WEIGHTS_H_
#define SINKWATCH_SERVER_STORE_SAME_WEIGHTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/store/store.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sqlite3.h"

// Weights that two steps share. README.md, "Same weights", has the rule and its
// why.
namespace sinkwatch::store {

// Compares measurement `id`, which was just written, with the others of its run
// and writes down which of them have its weights, each way: wholly, in any
// stage, or in some matrices, in the same stage. Costs an index look-up and a
// scan of a kilobyte for each of the stage's latest 2,000 measurements.
absl::Status CompareWeights(sqlite3* connection, int64_t id,
                            const v1::Checkpoint& checkpoint,
                            const v1::Measurement& measurement);

// What there is to say of the measurement of a job: with whom it shares its
// weights, and whether it counts. Leaves `facts` as they are if it has none.
absl::Status ReadWeightFacts(sqlite3* connection, int64_t job_id,
                             WeightFacts& facts);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_SAME_WEIGHTS_H_
