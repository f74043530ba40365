#ifndef SINKWATCH_SERVER_QUERY_SERIES_PAGES_H_
#define SINKWATCH_SERVER_QUERY_SERIES_PAGES_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// Answers one request for a page: a store, or a server at the other end.
using NextPage = std::function<absl::StatusOr<v1::QuerySeriesResponse>(
    const v1::QuerySeriesRequest&)>;

// Told the size of the whole after each page. An error ends the joining and is
// its answer, so a caller's cap keeps memory within bounds.
using CheckSize = std::function<absl::Status(int64_t columns, int64_t rows)>;

// All pages of a series from `first` on, as one answer. Pages are joined by the
// labels of their columns, because a page has only the columns that turn up in
// its own steps: the answer has every column of any page, ascending by layer
// and head as in a page, and NaN where a page lacks it. INTERNAL for a page
// whose rows are not as wide as its columns, or whose labels repeat.
absl::StatusOr<v1::QuerySeriesResponse> JoinPages(
    v1::QuerySeriesRequest first, const NextPage& next,
    const CheckSize& check_size = nullptr);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_SERIES_PAGES_H_
