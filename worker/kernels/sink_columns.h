#ifndef SINKWATCH_WORKER_KERNELS_SINK_COLUMNS_H_
#define SINKWATCH_WORKER_KERNELS_SINK_COLUMNS_H_

#include <cstdint>
#include <utility>

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

struct SinkColumns {
  at::Tensor column_BHC;  // int64, -1: none
  at::Tensor mass_BHC;    // float32, 0 of none
};

// Columns that take a large share of a head's attention, largest first: the at
// most 4 (or T) with a mean mass above .2 over the rows t >= 1 that see them,
// of those columns that at least half as many rows see as see the most-seen
// column, and at least 8. `column_mass_BHT` and `window` as in
// attention_stats.h.
//
// One operator, sinkwatch::sink_columns(Tensor column_mass, int window) ->
// (Tensor, Tensor).
SinkColumns FindSinkColumns(const at::Tensor& column_mass_BHT, int64_t window);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_SINK_COLUMNS_H_
