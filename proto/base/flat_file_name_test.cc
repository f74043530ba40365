#include "proto/base/flat_file_name.h"

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

TEST(MetaNameOfTest, StandsBesideAModelOfTheSameNumber) {
  EXPECT_EQ(MetaNameOf("model_000100.pt"), "meta_000100.json");
  EXPECT_EQ(MetaNameOf("model_a.b.safetensors"), "meta_a.b.json");
  EXPECT_EQ(MetaNameOf("model_7"), "meta_7.json");
}

TEST(MetaNameOfTest, IsNoneOfOtherNames) {
  EXPECT_EQ(MetaNameOf("state_step000005.pt"), "");
  EXPECT_EQ(MetaNameOf("model.pt"), "");
  EXPECT_EQ(MetaNameOf(""), "");
}

}  // namespace
}  // namespace sinkwatch::base
