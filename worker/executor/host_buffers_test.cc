#include "worker/executor/host_buffers.h"

#include <memory>

#include "gtest/gtest.h"

namespace sinkwatch::executor {
namespace {

TEST(HostBuffersTest, MemoryOfATensorThatIsGoneIsUsedAgain) {
  HostBuffers buffers;
  at::Tensor first = buffers.Empty({3, 5}, at::kFloat);
  EXPECT_EQ(first.sizes().vec(), (std::vector<int64_t>{3, 5}));
  EXPECT_TRUE(first.is_contiguous());
  const void* const place = first.const_data_ptr();
  const at::Tensor view = first.slice(0, 1, 2);
  first = at::Tensor();
  // A view still holds it.
  EXPECT_EQ(buffers.free_bytes(), 0);
  EXPECT_NE(buffers.Empty({15}, at::kFloat).const_data_ptr(), place);
}

TEST(HostBuffersTest, TwoLayersTakeTurns) {
  HostBuffers buffers;
  const int64_t elements = 3 << 20;
  at::Tensor a = buffers.Empty({elements}, at::kFloat);
  at::Tensor b = buffers.Empty({elements}, at::kFloat);
  const void* const place_a = a.const_data_ptr();
  const void* const place_b = b.const_data_ptr();
  for (int layer = 0; layer < 3; ++layer) {
    a = at::Tensor();
    a = buffers.Empty({elements / 2, 2}, at::kFloat);
    EXPECT_EQ(a.const_data_ptr(), place_a);
    b = at::Tensor();
    b = buffers.Empty({2 * elements}, at::kBFloat16);
    EXPECT_EQ(b.const_data_ptr(), place_b);
  }
  EXPECT_EQ(buffers.free_bytes(), 0);
}

TEST(HostBuffersTest, WhatFitsNoRequestIsGivenBack) {
  HostBuffers buffers;
  buffers.Empty({1 << 20}, at::kFloat);
  EXPECT_GE(buffers.free_bytes(), 4 << 20);
  const at::Tensor other = buffers.Empty({1 << 21}, at::kFloat);
  EXPECT_EQ(buffers.free_bytes(), 0);
}

TEST(HostBuffersTest, ATensorMayOutliveIt) {
  at::Tensor kept;
  {
    HostBuffers buffers;
    kept = buffers.Empty({7}, at::kDouble);
  }
  kept.fill_(3);
  EXPECT_EQ(kept.sum().item<double>(), 21);
}

TEST(HostBuffersTest, ATensorOfNothingIsOne) {
  HostBuffers buffers;
  EXPECT_EQ(buffers.Empty({0, 4}, at::kFloat).numel(), 0);
  EXPECT_EQ(buffers.Empty({}, at::kFloat).numel(), 1);
}

}  // namespace
}  // namespace sinkwatch::executor
