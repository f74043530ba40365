#include "proto/base/json_string.h"

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

TEST(JsonStringTest, QuotesAndEscapes) {
  EXPECT_EQ(JsonString(""), "\"\"");
  EXPECT_EQ(JsonString("a\"b\\c\n\x01"), "\"a\\\"b\\\\c\\n\\u0001\"");
  EXPECT_EQ(JsonString("\xc3\xa9"), "\"\xc3\xa9\"");
}

TEST(JsonStringTest, BytesThatAreNoTextCannotBreakIt) {
  EXPECT_EQ(JsonString("a\xff"), "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace sinkwatch::base
