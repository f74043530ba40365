#ifndef SINKWATCH_SERVER_STORE_SERIES_H_
#define SINKWATCH_SERVER_STORE_SERIES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/store/cell_budget.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::store {

class BlobView;

// Which values of one metric in one domain are wanted.
struct SeriesQuery {
  std::string run;
  std::string stage;
  std::string metric;
  std::string domain;
  // Empty: all. Values of model scope belong to no layer and come with any
  // layers; of a vector of one value the heads are not asked.
  std::vector<int32_t> layers;
  std::vector<int32_t> heads;
  bool include_implausible = false;
  // Both belong to it.
  int64_t first_step = INT64_MIN;
  int64_t last_step = INT64_MAX;
  // Above this many, the lowest steps are answered, or the highest.
  int64_t max_steps = 20000;
  bool newest = false;
  // Steps x columns; above this many, OUT_OF_RANGE.
  int64_t max_cells = 10'000'000;
};

// The place of a value in its vector: a layer (none: model scope) and an index
// in it.
using SeriesColumn = std::pair<std::optional<int>, int>;

// One metric over the steps of a run, dense: row i of the matrices is step i,
// column j is columns[j], NaN where there is no value.
struct Series {
  v1::MetricDescriptor metric;
  std::vector<SeriesColumn> columns;  // ascending, each once
  std::vector<int64_t> steps;         // ascending, each once
  std::vector<int64_t> tokens;        // one per step; 0: not known
  std::vector<float> values;          // row-major, steps x columns
  std::vector<float> standard_errors;
  bool cut = false;  // there are more steps than max_steps
  // Steps whose values cannot be read, and why, ascending. They are not among
  // `steps`: what is damaged costs itself.
  std::map<int64_t, std::string> damaged;
  // What it holds of the store's budget, also once its values were moved out:
  // keep it as long as them.
  std::shared_ptr<CellBudget::Hold> hold;

  float value(size_t step, size_t column) const {
    return values[step * columns.size() + column];
  }
  float standard_error(size_t step, size_t column) const {
    return standard_errors[step * columns.size() + column];
  }
};

// Makes a Series of stored blobs. Steps that have other columns than those
// before widen it.
//
// Thread-compatible.
class SeriesBuilder {
 public:
  // Of `query` it uses layers, heads and max_cells. Memory is taken for
  // `expected` steps at once, and out of `hold` if there is one.
  explicit SeriesBuilder(const SeriesQuery& query, int64_t expected = 0,
                         std::shared_ptr<CellBudget::Hold> hold = nullptr);

  // Appends a step, or notes it as damaged if Pack did not write the blob.
  // OUT_OF_RANGE above max_cells, else the hold's codes; it is of no use after
  // an error.
  absl::Status Add(int64_t step, int64_t tokens, absl::string_view blob);

  // The series, its steps turned round if they were added newest first.
  // Nothing may be called after it.
  Series Finish();

 private:
  // Values that lie side by side in a blob and in a row.
  struct Span {
    size_t from;
    size_t to;
    size_t count;
  };

  absl::Status MakeRoom(size_t columns);
  absl::Status Arrange(const BlobView& blob);
  void Widen(const std::vector<SeriesColumn>& columns);

  const std::set<int32_t> layers_;
  const std::set<int32_t> heads_;
  const int64_t max_cells_;
  const int64_t expected_;
  std::string shape_;  // of the blob that spans_ are for
  std::vector<Span> spans_;
  Series series_;
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_SERIES_H_
