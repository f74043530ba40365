#include "server/store/sequence_blob.h"

#include <cstdint>
#include <cstring>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "xxhash.h"

#ifndef ABSL_IS_LITTLE_ENDIAN
#error "values are written as they lie in memory, which must be little-endian"
#endif

namespace sinkwatch::store {
namespace {

constexpr uint32_t kMagic = 0x31514b53;  // "SKQ1"
constexpr size_t kHeaderBytes = 3 * sizeof(uint32_t);
constexpr size_t kChecksumBytes = sizeof(uint64_t);

absl::Status Damaged(const char* what) {
  return absl::DataLossError(std::string("store: a stored blob of sequences ") +
                             what);
}

}  // namespace

bool SequenceBlob::operator==(const SequenceBlob& other) const {
  return width == other.width && sequences == other.sequences &&
         values.size() == other.values.size() &&
         std::memcmp(values.data(), other.values.data(),
                     values.size() * sizeof(float)) == 0;
}

std::string Pack(const SequenceBlob& blob) {
  const uint32_t header[] = {kMagic, static_cast<uint32_t>(blob.width),
                             static_cast<uint32_t>(blob.sequences)};
  std::string bytes(reinterpret_cast<const char*>(header), sizeof(header));
  bytes.append(reinterpret_cast<const char*>(blob.values.data()),
               blob.values.size() * sizeof(float));
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size());
  bytes.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  return bytes;
}

absl::StatusOr<SequenceBlob> UnpackSequences(absl::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) {
    return Damaged("is too short");
  }
  const size_t body = bytes.size() - kChecksumBytes;
  uint64_t checksum;
  std::memcpy(&checksum, bytes.data() + body, sizeof(checksum));
  if (checksum != XXH3_64bits(bytes.data(), body)) {
    return Damaged("fails its checksum");
  }
  uint32_t header[3];
  std::memcpy(header, bytes.data(), sizeof(header));
  const uint64_t width = header[1], sequences = header[2];
  const uint64_t numbers = width * sequences;  // at most 2^64 - 2^33
  if (header[0] != kMagic || width > INT32_MAX || sequences > INT32_MAX ||
      numbers > body || kHeaderBytes + numbers * sizeof(float) != body) {
    return Damaged("has a header that does not go with its size");
  }
  SequenceBlob blob;
  blob.width = static_cast<int>(width);
  blob.sequences = static_cast<int>(sequences);
  blob.values.resize(numbers);
  std::memcpy(blob.values.data(), bytes.data() + kHeaderBytes,
              numbers * sizeof(float));
  return blob;
}

}  // namespace sinkwatch::store
