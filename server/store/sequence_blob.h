#ifndef SINKWATCH_SERVER_STORE_SEQUENCE_BLOB_H_
#define SINKWATCH_SERVER_STORE_SEQUENCE_BLOB_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::store {

// What each sequence of a domain alone gave, of one metric in one layer of one
// measurement, packed. Written little-endian:
//
//   u32 magic "SKQ1" | u32 values w | u32 sequences n
//   w x n x f32, all sequences of the first value first; NaN: it has no such
//   rows
//   u64 XXH3 of everything before
struct SequenceBlob {
  int width = 0;  // values of the layer: H, G or 1
  int sequences = 0;
  std::vector<float> values;  // width x sequences

  bool operator==(const SequenceBlob& other) const;
};

std::string Pack(const SequenceBlob& blob);

// DATA_LOSS if the bytes are not what Pack wrote.
absl::StatusOr<SequenceBlob> UnpackSequences(absl::string_view bytes);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_SEQUENCE_BLOB_H_
