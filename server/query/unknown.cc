#include "server/query/unknown.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/base/nearest.h"

namespace sinkwatch::query {
namespace {

constexpr size_t kMaxListed = 20;

std::string Listed(std::vector<std::string> items) {
  const size_t more = items.size() - std::min(items.size(), kMaxListed);
  items.resize(items.size() - more);
  return absl::StrCat(absl::StrJoin(items, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

// "0 to 3", "7": numbers that follow each other as one.
std::vector<std::string> Ranges(const std::set<int64_t>& numbers) {
  std::vector<std::string> ranges;
  for (auto it = numbers.begin(); it != numbers.end();) {
    const int64_t first = *it;
    int64_t last = first;
    for (++it; it != numbers.end() && *it == last + 1; ++it) last = *it;
    ranges.push_back(first == last ? absl::StrCat(first)
                                   : absl::StrCat(first, " to ", last));
  }
  return ranges;
}

}  // namespace

absl::Status UnknownName(absl::string_view lack, const std::string& name,
                         const std::vector<std::string>& choices,
                         absl::string_view none) {
  const std::string quoted = absl::StrCat(lack, " \"", name, "\"; ");
  if (choices.empty()) {
    return absl::NotFoundError(absl::StrCat(quoted, none));
  }
  return absl::NotFoundError(absl::StrCat(quoted, "there are ", Listed(choices),
                                          base::DidYouMean(name, choices)));
}

absl::Status UnknownNumber(absl::string_view lack, int64_t number,
                           const std::set<int64_t>& choices) {
  return absl::NotFoundError(
      absl::StrCat(lack, " ", number, "; there are ", Listed(Ranges(choices))));
}

absl::Status UnknownStep(absl::string_view lack, int64_t step,
                         const std::vector<int64_t>& measured) {
  const std::string place = absl::StrCat(lack, " of step ", step);
  if (measured.empty()) {
    return absl::NotFoundError(absl::StrCat(place, "; none is measured yet"));
  }
  const auto above = std::lower_bound(measured.begin(), measured.end(), step);
  if (above == measured.begin() || above == measured.end()) {
    const int64_t nearest =
        above == measured.end() ? measured.back() : measured.front();
    return absl::NotFoundError(
        absl::StrCat(place, "; the nearest measured step is ", nearest));
  }
  return absl::NotFoundError(absl::StrCat(place,
                                          "; the nearest measured steps are ",
                                          *(above - 1), " and ", *above));
}

}  // namespace sinkwatch::query
