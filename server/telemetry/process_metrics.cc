#include "server/telemetry/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace sinkwatch::telemetry {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Family(const char* name, const char* help, MetricType type,
                    double value) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  family.metric.resize(1);
  family.metric[0].gauge.value = value;
  family.metric[0].counter.value = value;
  return family;
}

// Fields of /proc/self/stat from the third on (proc(5) counts from one); the
// second, a name, may hold anything and ends with the last parenthesis.
std::vector<std::string> StatFields() {
  std::ifstream file("/proc/self/stat");
  std::stringstream text;
  text << file.rdbuf();
  const std::string line = text.str();
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

// Seconds since the epoch when the machine started; 0 if nobody says.
double BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double seconds = 0;
    if (word == "btime" && file >> seconds) return seconds;
  }
  return 0;
}

void AddFromStat(std::vector<MetricFamily>& families) {
  const std::vector<std::string> fields = StatFields();
  if (fields.size() < 22) return;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto field = [&fields](int number) {
    return std::strtod(fields[static_cast<size_t>(number) - 3].c_str(),
                       nullptr);
  };
  families.push_back(Family("process_cpu_seconds_total",
                            "User and system CPU time.", MetricType::Counter,
                            (field(14) + field(15)) / ticks));
  families.push_back(
      Family("process_threads", "Threads now.", MetricType::Gauge, field(20)));
  families.push_back(Family("process_start_time_seconds",
                            "When the process started.", MetricType::Gauge,
                            BootTime() + field(22) / ticks));
  families.push_back(Family("process_virtual_memory_bytes",
                            "Virtual memory size.", MetricType::Gauge,
                            field(23)));
  families.push_back(Family("process_resident_memory_bytes",
                            "Resident memory size.", MetricType::Gauge,
                            field(24) * sysconf(_SC_PAGESIZE)));
}

void AddDescriptors(std::vector<MetricFamily>& families) {
  std::error_code error;
  int64_t open = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator();
       it.increment(error)) {
    ++open;
  }
  if (!error && open > 0) {
    // Without the one that the look itself had open.
    families.push_back(Family("process_open_fds", "Open file descriptors.",
                              MetricType::Gauge,
                              static_cast<double>(open - 1)));
  }
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(
        Family("process_max_fds", "Most file descriptors that may be open.",
               MetricType::Gauge, static_cast<double>(limit.rlim_cur)));
  }
}

}  // namespace

std::vector<MetricFamily> ProcessFamilies() {
  std::vector<MetricFamily> families;
  AddFromStat(families);
  AddDescriptors(families);
  return families;
}

}  // namespace sinkwatch::telemetry
