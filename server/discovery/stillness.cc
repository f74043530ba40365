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
  was_still_ = !is_renewed_ && AreStill();
  is_renewed_ = false;
  before_ = std::exchange(times_, {});
  youngest_ns_ = absl::ToUnixNanos(now - kCoarsestClock);
  is_listed_ = false;
}

void Stillness::Add(const std::string& path, int64_t modified_ns) {
  times_[path] = {modified_ns, modified_ns != 0 && modified_ns < youngest_ns_};
}

void Stillness::End(size_t names) {
  // The times are as they were before, and still are, and the names are not.
  if (was_still_ && names != names_ && AreAsTheyWere(before_)) {
    trusts_times_ = false;
  }
  names_ = names;
  before_.clear();
  is_listed_ = true;
}

void Stillness::Renew(const std::string& path, int64_t modified_ns,
                      absl::Time now) {
  youngest_ns_ = absl::ToUnixNanos(now - kCoarsestClock);
  Add(path, modified_ns);
  is_renewed_ = true;
}

bool Stillness::AreStill() const {
  return trusts_times_ && is_listed_ && AreAsTheyWere(times_) &&
         std::all_of(times_.begin(), times_.end(),
                     [](const auto& folder) { return folder.second.tells; });
}

std::vector<std::string> Stillness::Changed() const {
  std::vector<std::string> changed;
  for (const auto& folder : times_) {
    if (!folder.second.tells || !IsAsItWas(folder)) {
      changed.push_back(folder.first);
    }
  }
  return changed;
}

bool Stillness::IsAsItWas(const Times::value_type& folder) {
  return TimeOf(folder.first) == folder.second.modified_ns;
}

bool Stillness::AreAsTheyWere(const Times& times) {
  return std::all_of(times.begin(), times.end(), IsAsItWas);
}

}  // namespace sinkwatch::discovery
