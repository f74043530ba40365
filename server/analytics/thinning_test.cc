#include "server/analytics/thinning.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

// A flat series of `rows` x `columns` noughts.
Matrix Flat(size_t rows, size_t columns) {
  return {columns, std::vector<float>(rows * columns, 0)};
}

bool Has(const std::vector<size_t>& rows, size_t row) {
  return std::binary_search(rows.begin(), rows.end(), row);
}

TEST(KeptRows, KeepsAllThatFit) {
  EXPECT_EQ(KeptRows(Flat(4, 2), 4), (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_TRUE(KeptRows(Flat(0, 2), 4).empty());
}

TEST(KeptRows, KeepsTheExtremesOfEveryColumnOfFew) {
  Matrix matrix = Flat(3000, 3);
  const size_t peaks[] = {7, 1234, 2998};
  for (size_t c = 0; c < 3; ++c) {
    matrix.values[peaks[c] * 3 + c] = 1;
    matrix.values[(peaks[c] - 5) * 3 + c] = -1;
  }
  const std::vector<size_t> rows = KeptRows(matrix, 400);
  EXPECT_LE(rows.size(), 400u);
  EXPECT_EQ(rows.front(), 0u);
  EXPECT_EQ(rows.back(), 2999u);
  for (size_t peak : peaks) {
    EXPECT_TRUE(Has(rows, peak)) << peak;
    EXPECT_TRUE(Has(rows, peak - 5)) << peak;
  }
}

TEST(KeptRows, KeepsTheEdgesOfTheBandOfMany) {
  Matrix matrix = Flat(3000, 80);
  matrix.values[1500 * 80 + 41] = 9;
  matrix.values[1501 * 80 + 7] = -9;
  const std::vector<size_t> rows = KeptRows(matrix, 1000);
  EXPECT_LE(rows.size(), 1000u);
  EXPECT_TRUE(Has(rows, 1500));
  EXPECT_TRUE(Has(rows, 1501));
}

// Rising values make every bucket keep its own first and last row.
TEST(KeptRows, NeverExceedsWhatWasAskedFor) {
  for (size_t columns : {1, 2, 3, 9, 80}) {
    for (size_t most : {4, 5, 100, 101, 999}) {
      Matrix matrix = Flat(1000, columns);
      for (size_t i = 0; i < matrix.values.size(); ++i) {
        matrix.values[i] = static_cast<float>((i * 7919) % 1009);
      }
      const size_t kept = KeptRows(matrix, most).size();
      EXPECT_LE(kept, most) << columns;
      EXPECT_GE(kept, most / 4) << columns;
    }
  }
}

TEST(KeptRows, PassesOverGaps) {
  Matrix matrix = Flat(100, 1);
  for (float& value : matrix.values) value = NAN;
  EXPECT_EQ(KeptRows(matrix, 10), (std::vector<size_t>{0, 99}));
  matrix.values[50] = 3;
  EXPECT_EQ(KeptRows(matrix, 10), (std::vector<size_t>{0, 50, 99}));
}

}  // namespace
}  // namespace sinkwatch::analytics
