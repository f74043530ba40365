#ifndef SINKWATCH_WORKER_METRICS_SINK_IDENTITY_H_
#define SINKWATCH_WORKER_METRICS_SINK_IDENTITY_H_

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// Which tokens the sinks of one layer are on one domain, folded batch by batch:
// position 0 is not the sink of every model.
//
// Thread-compatible.
class SinkIdentity {
 public:
  static constexpr size_t kMax = 16;

  // Columns and masses as LayerStatistics has them; tokens_BT int64 on the CPU.
  void Fold(const at::Tensor& columns_BHC, const at::Tensor& mass_BHC,
            const at::Tensor& tokens_BT);

  // The heaviest kMax, the heaviest first, without domain and layer.
  std::vector<SinkToken> Finish() const;

 private:
  struct Sums {
    double mass = 0;
    std::set<int64_t> heads;
    int64_t sequences = 0;
    int64_t last_sequence = -1;
  };
  // By id, and whether it is at position 0.
  std::map<std::pair<int64_t, bool>, Sums> tokens_;
  int64_t heads_ = 0;
  int64_t sequences_ = 0;
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_SINK_IDENTITY_H_
