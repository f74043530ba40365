#include "server/discovery/stillness.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace sinkwatch::discovery {
namespace {

constexpr absl::Duration kCoarsestClock = absl::Seconds(2);

}  // namespace

int64_t Stillness::TimeOf(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return 0;
  return int64_t{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec;
}

void Stillness::Begin(absl::Time now) {
  was_still_ = AreStill();
  before_ = std::exchange(times_, {});
  youngest_ns_ = absl::ToUnixNanos(now - kCoarsestClock);
  is_known_ = false;
}

void Stillness::Add(const std::string& path, int64_t modified_ns) {
  times_[path] = modified_ns;
}

void Stillness::End(size_t names) {
  // The times are as they were before, and still are, and the names are not.
  if (was_still_ && names != names_ && AreAsTheyWere(before_)) {
    trusts_times_ = false;
  }
  names_ = names;
  before_.clear();
  is_known_ = std::all_of(times_.begin(), times_.end(), [&](const auto& entry) {
    return entry.second != 0 && entry.second < youngest_ns_;
  });
}

bool Stillness::AreStill() const {
  return trusts_times_ && is_known_ && AreAsTheyWere(times_);
}

bool Stillness::AreAsTheyWere(const Times& times) {
  return std::all_of(times.begin(), times.end(), [](const auto& entry) {
    return TimeOf(entry.first) == entry.second;
  });
}

}  // namespace sinkwatch::discovery
