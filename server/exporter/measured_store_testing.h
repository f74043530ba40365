#ifndef SINKWATCH_SERVER_EXPORTER_MEASURED_STORE_TESTING_H_
#define SINKWATCH_SERVER_EXPORTER_MEASURED_STORE_TESTING_H_

#include <cstdint>
#include <memory>
#include <string>

#include "server/exporter/measurement_testing.h"
#include "server/store/store.h"

namespace sinkwatch::exporter {

// For tests: a store whose clock stands still, in memory unless a file is
// named.
std::unique_ptr<store::Store> MakeStore(const std::string& path = ":memory:");

// Puts a run into the store and measures it at `step` through the store's own
// doors: observe, lease, commit. Returns the first error.
absl::Status Measure(store::Store* store, const std::string& run, int64_t step,
                     const Shape& shape, bool implausible = false);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_MEASURED_STORE_TESTING_H_
