#include "proto/base/utf8.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

using namespace std::string_literals;

TEST(Utf8Test, TakesTheEdgesOfEachLength) {
  const std::vector<std::string> texts = {"",
                                          "step 1000",
                                          "\0"s,
                                          "\x7f",
                                          "\xc2\x80",
                                          "\xdf\xbf",
                                          "\xe0\xa0\x80",
                                          "\xed\x9f\xbf",
                                          "\xee\x80\x80",
                                          "\xef\xbf\xbf",
                                          "\xf0\x90\x80\x80",
                                          "\xf4\x8f\xbf\xbf",
                                          "\xc3\xa9t\xc3\xa9"};
  for (const std::string& text : texts) {
    EXPECT_TRUE(IsUtf8(text)) << EscapeBytes(text);
    EXPECT_EQ(EscapeBytes(text), text);
  }
}

TEST(Utf8Test, RefusesEverythingElse) {
  const std::vector<std::string> texts = {"\x80",      // a continuation alone
                                          "\xbf\xbf",  //
                                          "\xc0\x80",
                                          "\xc1\xbf",          // overlong
                                          "\xe0\x9f\xbf",      //
                                          "\xf0\x8f\xbf\xbf",  //
                                          "\xed\xa0\x80",      // a surrogate
                                          "\xf4\x90\x80\x80",  // above U+10FFFF
                                          "\xf5\x80\x80\x80",
                                          "\xff",  //
                                          "\xc3",
                                          "\xe2\x82",  // cut
                                          "\xf0\x90\x80",
                                          "\xe2\x28\xa1",
                                          "\xf0\x90\x28\x80",
                                          "good\xc3"};
  for (const std::string& text : texts) {
    EXPECT_FALSE(IsUtf8(text)) << EscapeBytes(text);
  }
}

TEST(Utf8Test, CountsTheBytesOfACharacter) {
  EXPECT_EQ(Utf8CharacterBytes(""), 0);
  EXPECT_EQ(Utf8CharacterBytes("ab"), 1);
  EXPECT_EQ(Utf8CharacterBytes("\xc3\xa9x"), 2);
  EXPECT_EQ(Utf8CharacterBytes("\xe2\x82\xacx"), 3);
  EXPECT_EQ(Utf8CharacterBytes("\xf0\x9f\x98\x80x"), 4);
  EXPECT_EQ(Utf8CharacterBytes("\xa9x"), 0);
}

TEST(EscapeBytesTest, ShowsBytesThatAreNoCharacter) {
  EXPECT_EQ(EscapeBytes("caf\xe9"), "caf\\xE9");
  EXPECT_EQ(EscapeBytes("\xff\x80-1"), "\\xFF\\x80-1");
  EXPECT_EQ(EscapeBytes("\xe2\x82"), "\\xE2\\x82");
}

TEST(EscapeBytesTest, LeavesTextAlone) {
  for (const std::string text : {"caf\xc3\xa9", "a\\b", "\\x", "\\xe9", "\\xE",
                                 "\\\\", "%E9", "C:\\xylophone"}) {
    EXPECT_EQ(EscapeBytes(text), text);
    EXPECT_EQ(UnescapeBytes(text), text);
  }
}

TEST(EscapeBytesTest, TellsAByteFromTextThatLooksLikeIt) {
  EXPECT_EQ(EscapeBytes("caf\\xE9"), "caf\\x5CxE9");
  EXPECT_EQ(UnescapeBytes("caf\\x5CxE9"), "caf\\xE9");
  EXPECT_EQ(UnescapeBytes("caf\\xE9"), "caf\xe9");
}

// All strings of up to six pieces of what the rules speak of.
TEST(EscapeBytesTest, TurnsBackWhateverTheBytes) {
  const std::vector<std::string> pieces = {"\\", "x",    "5",
                                           "C",  "\xe9", "\xc3\xa9"};
  std::vector<std::string> texts = {""};
  for (size_t length = 0, from = 0; length < 6; ++length) {
    const size_t to = texts.size();
    for (; from < to; ++from) {
      for (const std::string& piece : pieces) {
        texts.push_back(texts[from] + piece);
      }
    }
  }
  ASSERT_GT(texts.size(), 46656);
  for (const std::string& text : texts) {
    const std::string escaped = EscapeBytes(text);
    ASSERT_TRUE(IsUtf8(escaped)) << escaped;
    ASSERT_EQ(UnescapeBytes(escaped), text) << escaped;
  }
}

TEST(EscapeBytesTest, TurnsBackEveryByte) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    bytes.push_back(static_cast<char>(byte));
  }
  EXPECT_TRUE(IsUtf8(EscapeBytes(bytes)));
  EXPECT_EQ(UnescapeBytes(EscapeBytes(bytes)), bytes);
}

TEST(Utf8Test, OneLineKeepsTextAndEscapesWhatDrivesATerminal) {
  EXPECT_EQ(OneLine("a \xc3\xa9 \\ \xe2\x86\x92 \xf0\x9f\x99\x82"),
            "a \xc3\xa9 \\ \xe2\x86\x92 \xf0\x9f\x99\x82");
  const std::map<std::string, std::string> lines = {
      {"w\n[error] x", "w\\x0A[error] x"},
      {"\x1b[2J\r", "\\x1B[2J\\x0D"},
      {"a\0b\x7f"s, "a\\x00b\\x7F"},
      {"\xc2\x9b", "\\xC2\\x9B"},           // CSI in one character
      {"\xc2\x85", "\\xC2\\x85"},           // next line
      {"\xe2\x80\xa8", "\\xE2\\x80\\xA8"},  // line separator
      {"\xe2\x80\xae"
       "abc",
       "\\xE2\\x80\\xAE"
       "abc"},                              // right to left
      {"\xe2\x81\xa6", "\\xE2\\x81\\xA6"},  // isolate
      {"\xff\xc3", "\\xFF\\xC3"}};
  for (const auto& [bytes, line] : lines) EXPECT_EQ(OneLine(bytes), line);
  EXPECT_FALSE(IsControl("\xc2\xa0"));
}

}  // namespace
}  // namespace sinkwatch::base
