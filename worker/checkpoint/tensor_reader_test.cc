#include "worker/checkpoint/tensor_reader.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

// 24 numbers of 16 bits in one file: element i is 100 + i.
class TensorReaderTest : public ::testing::Test {
 protected:
  TensorReaderTest() {
    std::string bytes(48, '\0');
    for (int i = 0; i < 24; ++i) {
      const uint16_t value = static_cast<uint16_t>(100 + i);
      std::memcpy(&bytes[2 * i], &value, 2);
    }
    files::WriteFile(temp_ / "f", bytes);
    auto file = files::File::Open(temp_ / "f");
    EXPECT_TRUE(file.ok()) << file.status();
    contents_.files.push_back(*std::move(file));
  }

  static StoredTensor Tensor(std::vector<int64_t> shape,
                             std::vector<Piece> pieces) {
    return {"x", FindDtype("U16"), std::move(shape), std::move(pieces)};
  }

  std::vector<int> Read(const StoredTensor& tensor, RowRange range,
                        size_t count) {
    std::vector<uint16_t> out(count, 0);
    const absl::Status status = ReadRows(contents_, tensor, range, out.data());
    EXPECT_TRUE(status.ok()) << status;
    return {out.begin(), out.end()};
  }

  base::TempFolder temp_;
  Contents contents_;
};

using Numbers = std::vector<int>;

TEST_F(TensorReaderTest, ADenseTensorIsReadByRows) {
  const StoredTensor tensor = Tensor({4, 3}, {WholePiece(0, 8, {4, 3})});
  EXPECT_EQ(Read(tensor, {0, 4}, 12), (Numbers{104, 105, 106, 107, 108, 109,
                                               110, 111, 112, 113, 114, 115}));
  EXPECT_EQ(Read(tensor, {2, 1}, 3), (Numbers{110, 111, 112}));
  EXPECT_EQ(Read(tensor, {1, 0}, 0), (Numbers{}));
}

TEST_F(TensorReaderTest, RankZeroHasOneRow) {
  EXPECT_EQ(Read(Tensor({}, {WholePiece(0, 4, {})}), {0, 1}, 1),
            (Numbers{102}));
}

TEST_F(TensorReaderTest, PiecesByRowsAreJoined) {
  const StoredTensor tensor = Tensor({3, 2}, {{0, 20, {1, 0}, {2, 2}, {2, 1}},
                                              {0, 0, {0, 0}, {1, 2}, {2, 1}}});
  EXPECT_EQ(Read(tensor, {0, 3}, 6), (Numbers{100, 101, 110, 111, 112, 113}));
  EXPECT_EQ(Read(tensor, {1, 2}, 4), (Numbers{110, 111, 112, 113}));
}

TEST_F(TensorReaderTest, PiecesByColumnsAreJoined) {
  // Columns 0..1 from element 0, columns 2..4 from element 10.
  const StoredTensor tensor = Tensor({2, 5}, {{0, 0, {0, 0}, {2, 2}, {2, 1}},
                                              {0, 20, {0, 2}, {2, 3}, {3, 1}}});
  EXPECT_EQ(Read(tensor, {0, 2}, 10),
            (Numbers{100, 101, 110, 111, 112, 102, 103, 113, 114, 115}));
  EXPECT_EQ(Read(tensor, {1, 1}, 5), (Numbers{102, 103, 113, 114, 115}));
}

TEST_F(TensorReaderTest, StridesAreFollowed) {
  // The transpose of the dense [2,3] at element 6.
  const StoredTensor transposed =
      Tensor({3, 2}, {{0, 12, {0, 0}, {3, 2}, {1, 3}}});
  EXPECT_EQ(Read(transposed, {0, 3}, 6),
            (Numbers{106, 109, 107, 110, 108, 111}));
  EXPECT_EQ(Read(transposed, {2, 1}, 2), (Numbers{108, 111}));
  // One row repeated.
  const StoredTensor expanded =
      Tensor({2, 2}, {{0, 6, {0, 0}, {2, 2}, {0, 1}}});
  EXPECT_EQ(Read(expanded, {0, 2}, 4), (Numbers{103, 104, 103, 104}));
}

TEST_F(TensorReaderTest, ThreeDimensionsAreBoxes) {
  // [2,2,3] of which the last column lies elsewhere.
  const StoredTensor tensor =
      Tensor({2, 2, 3}, {{0, 0, {0, 0, 0}, {2, 2, 2}, {4, 2, 1}},
                         {0, 40, {0, 0, 2}, {2, 2, 1}, {2, 1, 1}}});
  EXPECT_EQ(Read(tensor, {1, 1}, 6), (Numbers{104, 105, 122, 106, 107, 123}));
}

TEST_F(TensorReaderTest, StridesThatSkipNearlyEverythingAreRefused) {
  const StoredTensor tensor = Tensor({2}, {{0, 0, {0}, {2}, {1 << 20}}});
  std::vector<uint16_t> out(2);
  files::ExpectError(ReadRows(contents_, tensor, {0, 2}, out.data()),
                     absl::StatusCode::kUnimplemented,
                     {temp_ / "f", "strides"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint
