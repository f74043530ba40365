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
constexpr size_t kLayerBytes = sizeof(int32_t) + sizeof(int64_t);
constexpr int32_t kNoLayer = INT32_MIN;

template <typename T>
void Append(std::string& bytes, const T* items, size_t count) {
  bytes.append(reinterpret_cast<const char*>(items), count * sizeof(T));
}

template <typename T>
void Copy(absl::string_view bytes, size_t offset, size_t count, T* to) {
  std::memcpy(to, bytes.data() + offset, count * sizeof(T));
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

absl::StatusOr<BlobView> BlobView::Parse(absl::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) {
    return Damaged("is too short");
  }
  const size_t body = bytes.size() - kChecksumBytes;
  uint64_t checksum;
  Copy(bytes, body, 1, &checksum);
  if (checksum != XXH3_64bits(bytes.data(), body)) {
    return Damaged("fails its checksum");
  }
  uint32_t header[3];
  Copy(bytes, 0, 3, header);
  const uint64_t layers = header[1], width = header[2];
  const uint64_t numbers = layers * width;  // at most 2^64 - 2^33
  if (header[0] != kMagic || layers > body || width > body || numbers > body ||
      kHeaderBytes + layers * kLayerBytes + 2 * numbers * sizeof(float) !=
          body) {
    return Damaged("has a header that does not go with its size");
  }
  return BlobView(bytes, layers, width);
}

std::optional<int> BlobView::layer(size_t i) const {
  int32_t layer;
  Copy(bytes_, kHeaderBytes + i * sizeof(layer), 1, &layer);
  return layer == kNoLayer ? std::nullopt : std::optional<int>(layer);
}

int64_t BlobView::count(size_t i) const {
  int64_t count;
  Copy(bytes_, kHeaderBytes + layers_ * sizeof(int32_t) + i * sizeof(count), 1,
       &count);
  return count;
}

absl::string_view BlobView::shape() const {
  return bytes_.substr(0, kHeaderBytes + layers_ * sizeof(int32_t));
}

void BlobView::CopyValues(size_t first, size_t count, float* to) const {
  Copy(bytes_, kHeaderBytes + layers_ * kLayerBytes + first * sizeof(float),
       count, to);
}

void BlobView::CopyStandardErrors(size_t first, size_t count, float* to) const {
  CopyValues(layers_ * width_ + first, count, to);
}

absl::StatusOr<ValueBlob> Unpack(absl::string_view bytes) {
  const auto view = BlobView::Parse(bytes);
  if (!view.ok()) return view.status();
  ValueBlob blob;
  blob.width = view->width();
  for (size_t i = 0; i < view->layers(); ++i) {
    blob.layers.push_back(view->layer(i));
    blob.counts.push_back(view->count(i));
  }
  const size_t numbers = view->layers() * blob.width;
  blob.values.resize(numbers);
  blob.standard_errors.resize(numbers);
  view->CopyValues(0, numbers, blob.values.data());
  view->CopyStandardErrors(0, numbers, blob.standard_errors.data());
  return blob;
}

}  // namespace sinkwatch::store
