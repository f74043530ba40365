#include "proto/base/stderr_log.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "spdlog/details/log_msg.h"

namespace sinkwatch::base {
namespace {

std::string Logged(const std::string& message) {
  spdlog::memory_buf_t line;
  LogFormatter()->format(
      spdlog::details::log_msg("program", spdlog::level::warn, message), line);
  return std::string(line.data(), line.size());
}

TEST(StderrLogTest, SaysTimeProgramLevelAndMessage) {
  const std::string line = Logged("lease ran out worker=w1");
  EXPECT_TRUE(absl::StartsWith(line, "[20")) << line;
  EXPECT_TRUE(
      absl::EndsWith(line, "] [program] [warning] lease ran out worker=w1\n"))
      << line;
}

TEST(StderrLogTest, AMessageIsOneLineWhateverIsInIt) {
  const std::string line = Logged(
      "worker=w\n[2026-11-29 15:00:00.000] [program] [error] forged\x1b"
      "[2J\xff");
  EXPECT_TRUE(absl::EndsWith(
      line,
      "worker=w\\x0A[2026-11-29 15:00:00.000] [program] [error] forged\\x1B"
      "[2J\\xFF\n"))
      << line;
}

}  // namespace
}  // namespace sinkwatch::base
