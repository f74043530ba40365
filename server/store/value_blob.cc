#include "server/store/value_blob.h"

#include <cstring>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "xxhash.h"

#ifndef ABSL_IS_LITTLE_ENDIAN
#error "values are written as they lie in memory, which must be little-endian"
#endif

namespace sinkwatch::store {
namespace {

constexpr uint32_t kMagic = 0x31564b53;  // "SKV1"
constexpr size_t kHeaderBytes = 3 * sizeof(uint32_t);
constexpr size_t kChecksumBytes = sizeof(uint64_t);
constexpr int32_t kNoLayer = INT32_MIN;

template <typename T>
void Append(std::string& bytes, const T* items, size_t count) {
  bytes.append(reinterpret_cast<const char*>(items), count * sizeof(T));
}

template <typename T>
std::vector<T> Take(absl::string_view& bytes, size_t count) {
  std::vector<T> items(count);
  std::memcpy(items.data(), bytes.data(), count * sizeof(T));
  bytes.remove_prefix(count * sizeof(T));
  return items;
}

absl::Status Damaged(const char* what) {
  return absl::DataLossError(std::string("store: a stored value blob ") + what);
}

}  // namespace

std::string Pack(const ValueBlob& blob) {
  std::string bytes;
  const uint32_t header[] = {kMagic, static_cast<uint32_t>(blob.layers.size()),
                             static_cast<uint32_t>(blob.width)};
  Append(bytes, header, 3);
  for (const std::optional<int>& layer : blob.layers) {
    const int32_t number = layer.value_or(kNoLayer);
    Append(bytes, &number, 1);
  }
  Append(bytes, blob.counts.data(), blob.counts.size());
  Append(bytes, blob.values.data(), blob.values.size());
  Append(bytes, blob.standard_errors.data(), blob.standard_errors.size());
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size());
  Append(bytes, &checksum, 1);
  return bytes;
}

absl::StatusOr<ValueBlob> Unpack(absl::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) {
    return Damaged("is too short");
  }
  const size_t body = bytes.size() - kChecksumBytes;
  uint64_t checksum;
  std::memcpy(&checksum, bytes.data() + body, kChecksumBytes);
  if (checksum != XXH3_64bits(bytes.data(), body)) {
    return Damaged("fails its checksum");
  }
  const std::vector<uint32_t> header = Take<uint32_t>(bytes, 3);
  const uint64_t layers = header[1], width = header[2];
  const uint64_t numbers = layers * width;  // at most 2^64 - 2^33
  if (header[0] != kMagic || layers > body || width > body || numbers > body ||
      kHeaderBytes + layers * (sizeof(int32_t) + sizeof(int64_t)) +
              2 * numbers * sizeof(float) !=
          body) {
    return Damaged("has a header that does not go with its size");
  }
  ValueBlob blob;
  blob.width = static_cast<int>(width);
  for (int32_t layer : Take<int32_t>(bytes, layers)) {
    blob.layers.push_back(layer == kNoLayer ? std::nullopt
                                            : std::optional<int>(layer));
  }
  blob.counts = Take<int64_t>(bytes, layers);
  blob.values = Take<float>(bytes, numbers);
  blob.standard_errors = Take<float>(bytes, numbers);
  return blob;
}

}  // namespace sinkwatch::store
