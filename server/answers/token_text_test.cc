#include "server/answers/token_text.h"

#include "gtest/gtest.h"

namespace sinkwatch::answers {
namespace {

TEST(TokenText, HasFourDigitsAndAUnit) {
  EXPECT_EQ(TokenText(0), "0");
  EXPECT_EQ(TokenText(999), "999");
  EXPECT_EQ(TokenText(1000), "1 k");
  EXPECT_EQ(TokenText(4'194'304), "4.194 M");
  EXPECT_EQ(TokenText(304'000'000'000), "304 B");
  EXPECT_EQ(TokenText(5'117'000'000'000), "5.117 T");
}

}  // namespace
}  // namespace sinkwatch::answers
