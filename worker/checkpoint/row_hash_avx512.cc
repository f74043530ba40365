#include "worker/checkpoint/row_hash.inc"

namespace sinkwatch::checkpoint {

RowHashSum SumRowHashesAvx512(const char* rows, int64_t first, int64_t count,
                              int64_t row_bytes) {
  return Sum(rows, first, count, row_bytes);
}

}  // namespace sinkwatch::checkpoint
