#include "server/telemetry/process_metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::telemetry {
namespace {

std::map<std::string, double> Now() {
  std::map<std::string, double> values;
  for (const auto& family : ProcessFamilies()) {
    EXPECT_EQ(family.metric.size(), 1u) << family.name;
    values[family.name] = family.metric[0].gauge.value;
  }
  return values;
}

TEST(ProcessMetricsTest, EveryFamilyIsThere) {
  const auto values = Now();
  for (const char* name :
       {"process_cpu_seconds_total", "process_open_fds", "process_max_fds",
        "process_virtual_memory_bytes", "process_resident_memory_bytes",
        "process_start_time_seconds", "process_threads"}) {
    ASSERT_EQ(values.count(name), 1u) << name;
  }
  EXPECT_EQ(values.at("process_threads"), 1);
  EXPECT_GT(values.at("process_max_fds"), values.at("process_open_fds"));
}

TEST(ProcessMetricsTest, StartedAMomentAgo) {
  const double started = Now().at("process_start_time_seconds");
  const double now = static_cast<double>(std::time(nullptr));
  // The machine's start is known to a second.
  EXPECT_LE(started, now + 2);
  EXPECT_GT(started, now - 300);
}

TEST(ProcessMetricsTest, DescriptorsAreCounted) {
  const double before = Now().at("process_open_fds");
  const int fds[] = {open("/dev/null", O_RDONLY), open("/dev/null", O_RDONLY)};
  EXPECT_EQ(Now().at("process_open_fds"), before + 2);
  for (int fd : fds) close(fd);
  EXPECT_EQ(Now().at("process_open_fds"), before);
}

TEST(ProcessMetricsTest, WorkAndMemoryAreSeen) {
  const auto before = Now();
  std::vector<char> memory(64 << 20, 1);
  volatile uint64_t sum = 0;
  const std::clock_t end = std::clock() + CLOCKS_PER_SEC / 10;
  while (std::clock() < end) sum = sum + memory[sum % memory.size()];
  const auto after = Now();
  EXPECT_GE(after.at("process_cpu_seconds_total"),
            before.at("process_cpu_seconds_total") + .08);
  EXPECT_GE(after.at("process_resident_memory_bytes"),
            before.at("process_resident_memory_bytes") + (60 << 20));
}

}  // namespace
}  // namespace sinkwatch::telemetry
