#ifndef SINKWATCH_WORKER_METRICS_MASSIVE_DIMENSIONS_H_
#define SINKWATCH_WORKER_METRICS_MASSIVE_DIMENSIONS_H_

#include <cstdint>
#include <map>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// The largest massive activation of each sequence and dimension: its signed
// value, 0 where there is none, and where it stands. B sequences, D width; on
// the stream's device.
struct MassiveEntries {
  at::Tensor value_BD;
  at::Tensor position_BD;
};

// Of a stream x_BTD in float32 and, for each sequence, the bound that is
// massive.
MassiveEntries MassiveEntriesOf(const at::Tensor& x_BTD,
                                const at::Tensor& bound_B);

// In which dimensions the stream of one layer is massive on one domain, folded
// batch by batch.
//
// Thread-compatible.
class MassiveDimensions {
 public:
  static constexpr size_t kMax = 8;

  void Fold(const MassiveEntries& entries);

  // The kMax with the largest values, the largest first, without domain and
  // layer.
  std::vector<MassiveDimension> Finish() const;

 private:
  struct Sums {
    double value = 0;
    int64_t position = 0;
    int64_t sequences = 0;
  };
  std::map<int64_t, Sums> dimensions_;
  int64_t sequences_ = 0;
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_MASSIVE_DIMENSIONS_H_
