// Queries::Series: the values of columns over the steps, page by page.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/base/status_macros.h"
#include "server/analytics/thinning.h"
#include "server/answers/parse.h"
#include "server/query/gaps.h"
#include "server/query/queries.h"

namespace sinkwatch::query {
namespace {

constexpr int32_t kMinPoints = 4;

absl::Status TooMany(const char* rule, int64_t size, const char* what,
                     int64_t cap, int64_t most) {
  return answers::BadParameter(
      rule, absl::StrCat(size, " ", what, " are above ", rule, "=", cap,
                         ": select layers and heads, aggregate, thin with "
                         "max_points, or ask for ",
                         rule, " up to ", most));
}

absl::Status CheckPoints(int32_t max_points) {
  if (max_points == 0 || max_points >= kMinPoints) return absl::OkStatus();
  return answers::BadParameter(
      "out_of_range",
      absl::StrCat("max_points=", max_points, " is neither 0 nor at least 4"));
}

absl::Status CheckColumns(const v1::QuerySeriesRequest& request,
                          int64_t columns) {
  const int64_t cap =
      request.max_columns() > 0
          ? std::min<int64_t>(request.max_columns(), kMaxColumns)
          : kMaxColumns;
  if (columns <= cap) return absl::OkStatus();
  return TooMany("max_columns", columns, "columns", cap, kMaxColumns);
}

// The rows that an answer on all pages together has.
std::vector<size_t> RowsOf(const v1::QuerySeriesRequest& request,
                           const SelectedColumns& selected) {
  const analytics::Matrix& values = selected.values;
  size_t most = request.max_points() > 0 ? request.max_points() : values.rows();
  if (request.max_points() > 0 && request.max_rows() > 0 &&
      values.columns > 0) {
    most = std::min<size_t>(most, kMaxValues / values.columns);
  }
  return analytics::KeptRows(values, std::max<size_t>(most, kMinPoints));
}

absl::Status CheckRows(const v1::QuerySeriesRequest& request, int64_t rows,
                       int64_t columns) {
  if (request.max_rows() <= 0) return absl::OkStatus();
  if (rows > request.max_rows()) {
    return TooMany("max_rows", rows, "rows", request.max_rows(), INT32_MAX);
  }
  if (rows * columns > kMaxValues) {
    return TooMany("max_cells", rows * columns, "values", kMaxValues,
                   kMaxValues);
  }
  return absl::OkStatus();
}

// Where a page begins and what columns its query has; its token is
// "step:columns", the step that of the row before it.
struct PageToken {
  int64_t step = INT64_MIN;
  int64_t columns = -1;

  static absl::StatusOr<PageToken> Parse(const std::string& text) {
    PageToken token;
    if (text.empty()) return token;
    const std::vector<std::string> parts = absl::StrSplit(text, ':');
    if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &token.step) &&
        absl::SimpleAtoi(parts[1], &token.columns)) {
      return token;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("page_token \"", text, "\" is not one of this list"));
  }
};

// A series that is read and selected, and the rows of it that are answered.
struct Answered {
  const store::Series& series;
  const SelectedColumns& selected;
  std::vector<size_t> rows;
};

size_t PageRows(const v1::QuerySeriesRequest& request, size_t columns) {
  if (request.max_rows() > 0) return request.max_rows();
  const size_t most =
      std::max<size_t>(1, kMaxValues / std::max<size_t>(1, columns));
  return request.page_size() > 0 ? std::min<size_t>(request.page_size(), most)
                                 : most;
}

void AddRow(const analytics::Matrix& matrix, size_t row,
            google::protobuf::RepeatedField<float>* out) {
  const float* const begin = matrix.values.data() + row * matrix.columns;
  out->Add(begin, begin + matrix.columns);
}

void FillPage(const v1::QuerySeriesRequest& request, const PageToken& token,
              const Answered& answered, v1::QuerySeriesResponse& response) {
  const std::vector<int64_t>& steps = answered.series.steps;
  const size_t columns = answered.selected.values.columns;
  const bool errors = !request.omit_standard_errors() &&
                      !answered.selected.standard_errors.values.empty();
  auto at = std::find_if(answered.rows.begin(), answered.rows.end(),
                         [&](size_t row) { return steps[row] > token.step; });
  const size_t left = answered.rows.end() - at;
  const size_t count = std::min(left, PageRows(request, columns));
  response.mutable_values()->Reserve(static_cast<int>(count * columns));
  for (const auto end = at + count; at != end; ++at) {
    response.add_steps(steps[*at]);
    response.add_tokens(answered.series.tokens[*at]);
    AddRow(answered.selected.values, *at, response.mutable_values());
    if (!errors) continue;
    AddRow(answered.selected.standard_errors, *at,
           response.mutable_standard_errors());
  }
  if (count < left) {
    response.set_next_page_token(absl::StrCat(steps[*(at - 1)], ":", columns));
  }
}

void NoteThinning(const Answered& answered, v1::QuerySeriesResponse& response) {
  const size_t all = answered.series.steps.size();
  response.set_total_steps(all);
  response.set_thinned(answered.rows.size() < all);
  if (!response.thinned()) return;
  response.add_notes(absl::StrCat(
      answered.rows.size(), " of ", all,
      " steps are shown: the first, the last, and those of extreme values"));
}

}  // namespace

absl::StatusOr<v1::QuerySeriesResponse> Queries::Series(
    const v1::QuerySeriesRequest& request) {
  const v1::SeriesSelector& selector = request.selector();
  RETURN_IF_ERROR(CheckPoints(request.max_points()));
  ASSIGN_OR_RETURN(const PageToken token,
                   PageToken::Parse(request.page_token()));
  v1::QuerySeriesResponse response;
  response.set_revision(store_->revision());
  ASSIGN_OR_RETURN(const Gathered gathered, Gather(selector));
  const Place& place = gathered.places[0];
  const store::Series& series = gathered.columns.series;
  const SelectedColumns& selected = gathered.columns.selected;
  const int64_t columns = static_cast<int64_t>(selected.keys.size());
  RETURN_IF_ERROR(CheckColumns(request, columns));
  if (token.columns >= 0 && token.columns != columns) {
    return absl::AbortedError(
        "the run was measured in a new shape between two pages: ask again");
  }
  const Answered answered{series, selected, RowsOf(request, selected)};
  RETURN_IF_ERROR(
      CheckRows(request, static_cast<int64_t>(answered.rows.size()), columns));

  *response.mutable_metric() = series.metric;
  *response.mutable_columns() = {selected.keys.begin(), selected.keys.end()};
  response.set_stage(place.stage);
  response.set_domain(place.domain);
  NoteThinning(answered, response);
  FillPage(request, token, answered, response);
  if (!request.page_token().empty()) return response;
  ASSIGN_OR_RETURN(const auto notes, MeasuringNotes(gathered));
  for (const std::string& note : notes) response.add_notes(note);
  if (selector.more_runs_size() > 0) {
    response.add_notes(
        "of several runs the gaps are not listed: a step that one of them has "
        "is a row of all");
    return response;
  }
  RETURN_IF_ERROR(
      AddGaps(*store_, place.run, place.stage, series, selector, response));
  return response;
}

}  // namespace sinkwatch::query
