#include "server/query/series_pages.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace sinkwatch::query {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Columns = std::map<std::string, v1::SeriesKey>;  // by label

// What the store orders the columns of a page by.
std::tuple<bool, int32_t, int32_t> PlaceOf(const v1::SeriesKey& key) {
  return {key.has_layer(), key.layer(), key.head()};
}

absl::Status CheckPage(const v1::QuerySeriesResponse& page) {
  std::set<std::string> labels;
  for (const v1::SeriesKey& key : page.columns()) {
    if (!labels.insert(key.label()).second) {
      return absl::InternalError(absl::StrCat(
          "a page of the series has column \"", key.label(), "\" twice"));
    }
  }
  for (const v1::SeriesRow& row : page.rows()) {
    if (row.values_size() != page.columns_size() ||
        row.standard_errors_size() != page.columns_size()) {
      return absl::InternalError(absl::StrCat(
          "step ", row.step(), " of the series has ", row.values_size(),
          " values in ", page.columns_size(), " columns"));
    }
  }
  return absl::OkStatus();
}

std::vector<v1::SeriesKey> InOrder(const Columns& columns) {
  std::vector<v1::SeriesKey> keys;
  for (const auto& [label, key] : columns) keys.push_back(key);
  std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) {
    return PlaceOf(a) < PlaceOf(b);
  });
  return keys;
}

// The page's rows over `keys`, behind those that are in `whole` already.
void AppendRows(v1::QuerySeriesResponse page,
                const std::vector<v1::SeriesKey>& keys,
                v1::QuerySeriesResponse& whole) {
  std::map<std::string, int> places;
  for (int i = 0; i < page.columns_size(); ++i) {
    places[page.columns(i).label()] = i;
  }
  for (v1::SeriesRow& row : *page.mutable_rows()) {
    v1::SeriesRow& out = *whole.add_rows();
    out.set_step(row.step());
    out.set_tokens(row.tokens());
    for (const v1::SeriesKey& key : keys) {
      const auto place = places.find(key.label());
      const bool there = place != places.end();
      out.add_values(there ? row.values(place->second) : kNan);
      out.add_standard_errors(there ? row.standard_errors(place->second)
                                    : kNan);
    }
  }
}

}  // namespace

absl::StatusOr<v1::QuerySeriesResponse> JoinPages(v1::QuerySeriesRequest first,
                                                  const NextPage& next,
                                                  const CheckSize& check_size) {
  std::vector<v1::QuerySeriesResponse> pages;
  Columns columns;
  int64_t rows = 0;
  v1::QuerySeriesRequest& request = first;
  do {
    auto page = next(request);
    if (!page.ok()) return page.status();
    absl::Status status = CheckPage(*page);
    if (!status.ok()) return status;
    for (const v1::SeriesKey& key : page->columns()) {
      columns.try_emplace(key.label(), key);
    }
    rows += page->rows_size();
    if (check_size) {
      status = check_size(static_cast<int64_t>(columns.size()), rows);
      if (!status.ok()) return status;
    }
    request.set_page_token(page->next_page_token());
    pages.push_back(*std::move(page));
  } while (!request.page_token().empty());

  v1::QuerySeriesResponse whole;
  *whole.mutable_metric() = pages.back().metric();
  const std::vector<v1::SeriesKey> keys = InOrder(columns);
  *whole.mutable_columns() = {keys.begin(), keys.end()};
  for (v1::QuerySeriesResponse& page : pages) {
    AppendRows(std::move(page), keys, whole);
  }
  return whole;
}

}  // namespace sinkwatch::query
