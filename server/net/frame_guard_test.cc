#include "server/net/frame_guard.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::net {
namespace {

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6,
                  kContinuation = 9;
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream,
                  const std::string& payload = "") {
  std::string bytes;
  for (int shift : {16, 8, 0}) {
    bytes.push_back(static_cast<char>(payload.size() >> shift));
  }
  bytes.push_back(static_cast<char>(type));
  bytes.push_back(static_cast<char>(flags));
  for (int shift : {24, 16, 8, 0}) {
    bytes.push_back(static_cast<char>(stream >> shift));
  }
  return bytes + payload;
}

std::string Hello() { return kPreface + Frame(kSettings, 0, 0); }

std::string Call(uint32_t stream) {
  return Frame(kHeaders, kEndHeaders, stream, "fields") +
         Frame(kData, kEndStream, stream, "message");
}

class FrameGuardTest : public ::testing::Test {
 protected:
  // How many of the bytes pass; -1: the connection ends.
  int64_t Pass(const std::string& bytes, size_t max_calls = 10) {
    const auto passed = guard_.FromClient(bytes, now_, max_calls);
    why_ = std::string(passed.status().message());
    return passed.ok() ? static_cast<int64_t>(*passed) : -1;
  }
  void ExpectPasses(const std::string& bytes) {
    EXPECT_EQ(Pass(bytes), static_cast<int64_t>(bytes.size())) << why_;
  }

  FrameGuard guard_;
  FrameGuard::Time now_;
  std::string why_;
};

TEST_F(FrameGuardTest, AnOrdinaryConnectionPassesHoweverItIsCut) {
  const std::string whole = Hello() + Call(1) + Call(3);
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    FrameGuard guard;
    const auto first = guard.FromClient(whole.substr(0, cut), now_, 10);
    ASSERT_TRUE(first.ok()) << first.status();
    ASSERT_LE(*first, cut);
    const auto rest = guard.FromClient(whole.substr(*first), now_, 10);
    ASSERT_TRUE(rest.ok()) << rest.status();
    EXPECT_EQ(*first + *rest, whole.size()) << "cut at " << cut;
    EXPECT_EQ(guard.open_calls(), 2u);
  }
}

TEST_F(FrameGuardTest, WhatIsNoHttp2Ends) {
  EXPECT_EQ(Pass("GET / HTTP/1.1\r\n\r\n"), -1);
  EXPECT_FALSE(guard_.greeted());
  FrameGuard silent;
  EXPECT_FALSE(silent.FromClient(kPreface + Call(1), now_, 10).ok());
}

// CVE-2024-27316: each CONTINUATION is small, and there is always one more.
TEST_F(FrameGuardTest, HeaderFieldsWithoutEndEnd) {
  ExpectPasses(Hello() + Frame(kHeaders, 0, 1, "fields"));
  const std::string more = Frame(kContinuation, 0, 1, std::string(1000, 'x'));
  int passed = 0;
  while (passed < 1000 && Pass(more) > 0) ++passed;
  EXPECT_EQ(passed, 16);
  EXPECT_TRUE(absl::StrContains(why_, "16384")) << why_;
}

TEST_F(FrameGuardTest, HeaderFieldsAreNotInterrupted) {
  ExpectPasses(Hello() + Frame(kHeaders, 0, 1, "fields"));
  EXPECT_EQ(Pass(Frame(kData, 0, 1, "data")), -1);
  FrameGuard other;
  EXPECT_FALSE(
      other.FromClient(Hello() + Frame(kContinuation, 0, 1), now_, 10).ok());
}

TEST_F(FrameGuardTest, OneCallTooManyWaitsUntilOneEnds) {
  ExpectPasses(Hello() + Call(1) + Call(3));
  EXPECT_EQ(Pass(Call(5), 2), 0);
  EXPECT_TRUE(guard_.waits());
  // The server ends call 1: its answer, cut anywhere.
  const std::string answer = Frame(kData, 0, 1, "answer") +
                             Frame(kHeaders, kEndHeaders | kEndStream, 1, "ok");
  for (char byte : answer) guard_.FromServer(std::string(1, byte));
  EXPECT_EQ(guard_.open_calls(), 1u);
  EXPECT_EQ(Pass(Call(5), 2), static_cast<int64_t>(Call(5).size()));
  EXPECT_FALSE(guard_.waits());
}

TEST_F(FrameGuardTest, DataOfOpenCallsPassesWhenNoMoreMayBegin) {
  ExpectPasses(Hello() + Frame(kHeaders, kEndHeaders, 1, "fields"));
  const std::string data = Frame(kData, 0, 1, std::string(1 << 20, 'x'));
  EXPECT_EQ(Pass(data, 1), static_cast<int64_t>(data.size()));
}

// CVE-2023-44487: were a call that is reset at once open no more, the bound on
// open calls would not bind.
TEST_F(FrameGuardTest, ACallThatIsResetIsOpenForASecondMore) {
  ExpectPasses(Hello());
  std::string flood;
  for (uint32_t i = 0; i < 25; ++i) {
    flood += Frame(kHeaders, kEndHeaders, 2 * i + 1, "fields") +
             Frame(kReset, 0, 2 * i + 1, "why?");
  }
  const int64_t each = static_cast<int64_t>(flood.size()) / 25;
  EXPECT_EQ(Pass(flood), 10 * each);
  EXPECT_TRUE(guard_.waits());
  EXPECT_EQ(guard_.open_calls(), 10u);
  now_ += std::chrono::milliseconds(999);
  EXPECT_EQ(Pass(flood.substr(10 * each)), 0);
  now_ += std::chrono::milliseconds(1);
  EXPECT_EQ(Pass(flood.substr(10 * each)), 10 * each);
}

TEST_F(FrameGuardTest, SmallFramesAreCountedByTheSecond) {
  ExpectPasses(Hello());
  std::string flood;
  for (int i = 0; i < 1500; ++i) flood += Frame(kPing, 0, 0, "8 bytes.");
  const int64_t each = static_cast<int64_t>(flood.size()) / 1500;
  const int64_t first = Pass(flood);
  EXPECT_EQ(first, 999 * each);  // the settings were one
  EXPECT_TRUE(guard_.waits());
  now_ += std::chrono::seconds(1);
  ExpectPasses(flood.substr(first));
}

TEST_F(FrameGuardTest, AFrameOfAnUnknownKindIsSmall) {
  ExpectPasses(Hello() + Frame(77, 0, 0, std::string(1000, 'x')));
  EXPECT_EQ(Pass(Frame(77, 0, 0, std::string(20000, 'x'))), -1);
}

}  // namespace
}  // namespace sinkwatch::net
