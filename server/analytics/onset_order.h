#ifndef SINKWATCH_SERVER_ANALYTICS_ONSET_ORDER_H_
#define SINKWATCH_SERVER_ANALYTICS_ONSET_ORDER_H_

#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::analytics {

// Which of two emergences came first. Checkpoints only bracket them, so that
// two whose intervals overlap have no order. It tells no mechanism: the same
// task gives either order.
enum class Order { kUnresolved, kEarlier, kLater };

struct OnsetOrder {
  Order order = Order::kUnresolved;
  // ln(1 + step) of the second less that of the first; NaN unless both emerged
  // between checkpoints.
  double gap = 0;
};

// `first` relative to `second`: earlier if the whole interval of the one lies
// before that of the other. What never emerged lies behind its last checkpoint,
// what was there from the start at or before its first; two that never emerged
// have no order, and what was never measured has none. What is provisional
// comes before nothing.
OnsetOrder OrderOf(const v1::Emergence& first, const v1::Emergence& second);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_ONSET_ORDER_H_
