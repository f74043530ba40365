#include "server/store/sequence_blob.h"

#include <cmath>
#include <cstring>

#include "gtest/gtest.h"
#include "xxhash.h"

namespace sinkwatch::store {
namespace {

SequenceBlob TwoHeads() { return {2, 3, {.1f, NAN, .3f, .4f, .5f, .6f}}; }

// With the checksum that its changed bytes have.
std::string Signed(std::string bytes) {
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size() - 8);
  std::memcpy(&bytes[bytes.size() - 8], &checksum, sizeof(checksum));
  return bytes;
}

TEST(SequenceBlobTest, GivesBackWhatWasPacked) {
  const auto read = UnpackSequences(Pack(TwoHeads()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == TwoHeads());
}

TEST(SequenceBlobTest, EveryChangedOrMissingByteIsDamage) {
  const std::string bytes = Pack(TwoHeads());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 1;
    EXPECT_EQ(UnpackSequences(changed).status().code(),
              absl::StatusCode::kDataLoss)
        << i;
    EXPECT_FALSE(UnpackSequences(bytes.substr(0, i)).ok()) << i;
  }
}

TEST(SequenceBlobTest, SizesThatDoNotGoWithTheBytesAreDamage) {
  for (size_t place : {0, 4, 7, 8, 11}) {
    std::string bytes = Pack(TwoHeads());
    bytes[place] = '\x7f';
    EXPECT_EQ(UnpackSequences(Signed(bytes)).status().code(),
              absl::StatusCode::kDataLoss)
        << place;
  }
}

}  // namespace
}  // namespace sinkwatch::store
