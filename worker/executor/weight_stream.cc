#include "worker/executor/weight_stream.h"

#include <algorithm>
#include <utility>

#include "c10/util/Exception.h"
#include "worker/executor/device_errors.h"

namespace sinkwatch::executor {

int PartsAhead(c10::Device device) { return device.is_cpu() ? 1 : 2; }

WeightStream::WeightStream(WeightLoader& loader, int64_t parts,
                           std::function<WeightRequest(int64_t)> request,
                           int ahead)
    : loader_(loader),
      parts_(parts),
      request_(std::move(request)),
      ahead_(std::max(1, ahead)) {}

absl::StatusOr<model::TensorMap> WeightStream::Next() {
  ReadAhead();
  auto weights = loader_.Take();
  if (!weights.ok()) return weights;
  ++taken_;
  ReadAhead();
  return weights;
}

void WeightStream::ReadAhead() {
  while (asked_ < parts_ && asked_ < taken_ + ahead_) {
    try {
      loader_.Prefetch(request_(asked_));
    } catch (const c10::Error& error) {
      if (asked_ == taken_ || !IsOutOfMemory(error)) throw;
      ahead_ = asked_ - taken_;
      return;
    }
    ++asked_;
  }
}

}  // namespace sinkwatch::executor
