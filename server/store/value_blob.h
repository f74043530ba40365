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

// A packed blob read where it lies, for who wants few of its values. The bytes
// must outlive it.
class BlobView {
 public:
  // As Unpack, without copying anything.
  static absl::StatusOr<BlobView> Parse(absl::string_view bytes);

  size_t layers() const { return layers_; }
  int width() const { return static_cast<int>(width_); }
  std::optional<int> layer(size_t i) const;
  int64_t count(size_t i) const;
  // The bytes that say which layers of which width there are: equal for two
  // blobs of the same rectangle.
  absl::string_view shape() const;
  // Copy `count` values from place `first` on (layer * width + index).
  void CopyValues(size_t first, size_t count, float* to) const;
  void CopyStandardErrors(size_t first, size_t count, float* to) const;

 private:
  BlobView(absl::string_view bytes, size_t layers, size_t width)
      : bytes_(bytes), layers_(layers), width_(width) {}

  absl::string_view bytes_;
  size_t layers_;
  size_t width_;
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_VALUE_BLOB_H_
