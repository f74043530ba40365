#ifndef SINKWATCH_SERVER_STORE_CHECK_H_
#define SINKWATCH_SERVER_STORE_CHECK_H_

#include <functional>

#include "absl/status/status.h"
#include "server/store/store.h"
#include "server/store/store_mutex.h"
#include "sqlite3.h"

namespace sinkwatch::store {

// What Check found, and where in the database it lies.
struct FoundDamage {
  Store::Damage damage;
  enum class Kind {
    kValues,      // the blob of one metric and domain
    kSequences,   // those of its sequences, of one metric and domain
    kTensors,     // the digests of a measurement's tensors
    kHeader,      // the measurement as a whole
    kDescriptor,  // the definition of a metric in a series of a run
    kRun,         // the configuration of a run
    kFile,        // SQLite cannot read it
  } kind = Kind::kValues;
  std::string series;  // of a descriptor
};

// Reads all that is stored, taking `mutex` for a few megabytes at a time, and
// tells `found` of each damage, without the mutex. Counts into `report`.
absl::Status CheckAll(StoreMutex& mutex, sqlite3* connection,
                      const std::function<void(FoundDamage)>& found,
                      Store::CheckReport& report);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_CHECK_H_
