#ifndef SINKWATCH_SERVER_STORE_VALUE_BLOB_H_
#define SINKWATCH_SERVER_STORE_VALUE_BLOB_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::store {

// All values of one metric in one domain of one measurement, packed. Written
// little-endian:
//
//   u32 magic "SKV1" | u32 layers n | u32 values a layer w
//   n x i32 layer (INT32_MIN: model scope)
//   n x i64 count
//   n x w x f32 value
//   n x w x f32 standard error
//   u64 XXH3 of everything before
struct ValueBlob {
  std::vector<std::optional<int>> layers;
  std::vector<int64_t> counts;  // one per layer
  int width = 0;                // values a layer: H, G or 1
  std::vector<float> values;    // layers x width
  std::vector<float> standard_errors;

  float value(size_t layer, int index) const {
    return values[layer * width + index];
  }
  float standard_error(size_t layer, int index) const {
    return standard_errors[layer * width + index];
  }
};

std::string Pack(const ValueBlob& blob);

// DATA_LOSS if the bytes are not what Pack wrote.
absl::StatusOr<ValueBlob> Unpack(absl::string_view bytes);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_VALUE_BLOB_H_
