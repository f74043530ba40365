#include "server/query/gaps.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"

namespace sinkwatch::query {
namespace {

constexpr int32_t kMaxGaps = 500;

// By step, the newest first.
using Gaps = std::map<int64_t, v1::SeriesGap, std::greater<int64_t>>;

// A superseded checkpoint has a later one in its place.
bool IsGapState(v1::JobState state) {
  return state != v1::JOB_STATE_DONE && state != v1::JOB_STATE_SUPERSEDED;
}

bool Holds(const std::vector<int64_t>& steps, int64_t step) {
  return std::binary_search(steps.begin(), steps.end(), step);
}

int64_t DoneJobs(const v1::RunStatus& run) {
  for (const v1::StateCount& entry : run.states()) {
    if (entry.state() == v1::JOB_STATE_DONE) return entry.count();
  }
  return 0;
}

store::CheckpointQuery OpenOrFailed(const v1::RunStatus& run,
                                    const std::string& stage) {
  store::CheckpointQuery query;
  query.run = run.name();
  query.stage = stage;
  for (const v1::StateCount& entry : run.states()) {
    if (IsGapState(entry.state())) query.states.push_back(entry.state());
  }
  query.newest_first = true;
  query.page.size = kMaxGaps;
  return query;
}

void Add(Gaps& gaps, int64_t step, v1::JobState state, std::string reason) {
  v1::SeriesGap& gap = gaps[step];
  gap.set_step(step);
  gap.set_state(state);
  gap.set_reason(std::move(reason));
}

// Returns how many there are, above those that were added.
absl::StatusOr<int64_t> AddUnmeasured(store::Store& store,
                                      const v1::RunStatus& run,
                                      const std::string& stage,
                                      const std::vector<int64_t>& steps,
                                      Gaps& gaps) {
  const store::CheckpointQuery query = OpenOrFailed(run, stage);
  if (query.states.empty()) return 0;
  ASSIGN_OR_RETURN(const store::CheckpointPage page, store.Checkpoints(query));
  for (const store::JobRecord& job : page.jobs) {
    const int64_t step = job.job.checkpoint().step();
    if (!Holds(steps, step)) Add(gaps, step, job.state, job.reason);
  }
  if (page.next_page_token.empty()) return 0;
  ASSIGN_OR_RETURN(const int64_t total, store.CountCheckpoints(query));
  return total - static_cast<int64_t>(page.jobs.size());
}

std::string ReasonOf(const store::Store::MeasuredStep& at,
                     const v1::SeriesSelector& selector,
                     const std::string& domain) {
  if (!at.shown) {
    return "measured on other terms (probe, dtype, sequence length or metric "
           "definitions) than the latest";
  }
  if (at.implausible && !selector.include_implausible()) {
    return at.reason.empty() ? "implausible"
                             : absl::StrCat("implausible: ", at.reason);
  }
  return absl::StrCat("has no ", selector.metric(), " in domain \"", domain,
                      "\"");
}

std::string Damaged(const std::string& what) {
  return absl::StrCat("cannot be read back: ", what,
                      "; `sinkctl store repair` has it measured again");
}

absl::Status AddWithoutValue(store::Store& store, const v1::RunStatus& run,
                             const std::string& stage,
                             const store::Series& series,
                             const v1::SeriesSelector& selector,
                             const std::string& domain, Gaps& gaps) {
  ASSIGN_OR_RETURN(const auto measured, store.MeasuredSteps(run.name(), stage));
  for (const store::Store::MeasuredStep& at : measured) {
    if (Holds(series.steps, at.step) || gaps.count(at.step) > 0) continue;
    const auto damage = series.damaged.find(at.step);
    Add(gaps, at.step, v1::JOB_STATE_DONE,
        damage == series.damaged.end() ? ReasonOf(at, selector, domain)
                                       : Damaged(damage->second));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddGaps(store::Store& store, const v1::RunStatus& run,
                     const std::string& stage, const store::Series& series,
                     const v1::SeriesSelector& selector,
                     v1::QuerySeriesResponse& response) {
  Gaps gaps;
  ASSIGN_OR_RETURN(const int64_t more,
                   AddUnmeasured(store, run, stage, series.steps, gaps));
  if (DoneJobs(run) > static_cast<int64_t>(series.steps.size())) {
    RETURN_IF_ERROR(AddWithoutValue(store, run, stage, series, selector,
                                    response.domain(), gaps));
  }
  response.set_total_gaps(static_cast<int64_t>(gaps.size()) + more);
  for (auto& [step, gap] : gaps) {
    if (response.gaps_size() == kMaxGaps) break;
    *response.add_gaps() = std::move(gap);
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::query
