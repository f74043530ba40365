#include "worker/checkpoint/container/exact_cover.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

using Sizes = std::vector<int64_t>;

Piece Box(Sizes start, Sizes sizes) {
  Piece piece;
  piece.start = std::move(start);
  piece.sizes = std::move(sizes);
  return piece;
}

TEST(ExactCoverTest, OneBoxOrRowsOrColumnsCover) {
  EXPECT_TRUE(CheckExactCover({}, {Box({}, {})}).ok());
  EXPECT_TRUE(CheckExactCover({5, 3}, {Box({0, 0}, {5, 3})}).ok());
  EXPECT_TRUE(CheckExactCover({5, 3}, {Box({2, 0}, {3, 3}),  //
                                       Box({0, 0}, {2, 3})})
                  .ok());
  EXPECT_TRUE(CheckExactCover({5, 3}, {Box({0, 0}, {5, 1}),  //
                                       Box({0, 1}, {5, 2})})
                  .ok());
}

TEST(ExactCoverTest, APinwheelCovers) {
  EXPECT_TRUE(CheckExactCover({3, 3}, {Box({0, 0}, {1, 2}), Box({0, 2}, {2, 1}),
                                       Box({2, 1}, {1, 2}), Box({1, 0}, {2, 1}),
                                       Box({1, 1}, {1, 1})})
                  .ok());
}

TEST(ExactCoverTest, WhatDoesNotCoverIsSaid) {
  const auto corrupt = absl::StatusCode::kDataLoss;
  files::ExpectError(CheckExactCover({4}, {}), corrupt,
                     {"leave 4 elements out"});
  files::ExpectError(CheckExactCover({4}, {Box({0}, {3})}), corrupt,
                     {"leave 1 elements out"});
  files::ExpectError(CheckExactCover({4}, {Box({1}, {4})}), corrupt,
                     {"the chunk [4] at [1] leaves the shape [4]"});
  files::ExpectError(CheckExactCover({4}, {Box({int64_t{1} << 47}, {4})}),
                     corrupt, {"leaves the shape"});
  files::ExpectError(CheckExactCover({4}, {Box({0}, {3}), Box({2}, {2})}),
                     corrupt, {"the chunk [2] at [2] overlaps"});
}

TEST(ExactCoverTest, AnOverlapThatAHoleMakesUpForIsFound) {
  // Volumes add up: 3 + 3 = 6.
  files::ExpectError(
      CheckExactCover({2, 3}, {Box({0, 0}, {1, 3}), Box({0, 0}, {1, 3})}),
      absl::StatusCode::kDataLoss, {"overlap"});
  files::ExpectError(
      CheckExactCover({3, 3}, {Box({0, 0}, {2, 2}), Box({1, 1}, {2, 2}),
                               Box({0, 2}, {1, 1})}),
      absl::StatusCode::kDataLoss, {"overlap"});
}

TEST(ExactCoverTest, TooManyCornersAreRefused) {
  std::vector<Piece> boxes;
  for (int64_t i = 0; i < 20000; ++i) {
    boxes.push_back(Box({i, 0, 0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1, 1, 1}));
  }
  files::ExpectError(CheckExactCover({20000, 1, 1, 1, 1, 1, 1, 1}, boxes),
                     absl::StatusCode::kUnimplemented,
                     {"20000 chunks of rank 8"});
}

// Random boxes of the right volume, against counting element by element.
TEST(ExactCoverTest, AgreesWithCounting) {
  std::mt19937 random(7);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  int num_covers = 0;
  for (int round = 0; round < 20000; ++round) {
    const Sizes shape = {2, 3};
    std::vector<Piece> boxes;
    std::vector<int> count(6, 0);
    for (int64_t n = 1 + below(4); n > 0; --n) {
      Piece box;
      for (int64_t size : shape) {
        box.start.push_back(below(size));
        box.sizes.push_back(1 + below(size - box.start.back()));
      }
      for (int64_t i = 0; i < box.sizes[0]; ++i) {
        for (int64_t j = 0; j < box.sizes[1]; ++j) {
          ++count[(box.start[0] + i) * 3 + box.start[1] + j];
        }
      }
      boxes.push_back(box);
    }
    const bool covers = count == std::vector<int>(6, 1);
    num_covers += covers;
    ASSERT_EQ(CheckExactCover(shape, boxes).ok(), covers) << round;
  }
  EXPECT_GT(num_covers, 100);
}

}  // namespace
}  // namespace sinkwatch::checkpoint
