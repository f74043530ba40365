#include "server/store/value_blob.h"

#include "gtest/gtest.h"

namespace sinkwatch::store {
namespace {

ValueBlob Example() {
  ValueBlob blob;
  blob.layers = {-1, 0, std::nullopt};
  blob.counts = {1, 2, 3};
  blob.width = 2;
  blob.values = {1, 2, 3, 4, 5, 6};
  blob.standard_errors = {.1f, .2f, .3f, .4f, .5f, .6f};
  return blob;
}

TEST(ValueBlob, ComesBackAsItWasPacked) {
  const auto blob = Unpack(Pack(Example()));
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(blob->layers, Example().layers);
  EXPECT_EQ(blob->counts, Example().counts);
  EXPECT_EQ(blob->values, Example().values);
  EXPECT_EQ(blob->standard_errors, Example().standard_errors);
}

TEST(ValueBlob, TellsEveryFlippedByte) {
  const std::string packed = Pack(Example());
  for (size_t i = 0; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_EQ(Unpack(damaged).status().code(), absl::StatusCode::kDataLoss)
        << "byte " << i;
  }
}

TEST(ValueBlob, TellsEveryTruncation) {
  const std::string packed = Pack(Example());
  for (size_t size = 0; size < packed.size(); ++size) {
    const absl::Status status = Unpack(packed.substr(0, size)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_NE(status.message().find("a stored value blob"), std::string::npos)
        << status;
  }
}

}  // namespace
}  // namespace sinkwatch::store
