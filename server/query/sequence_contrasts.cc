#include "server/query/sequence_contrasts.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"

namespace sinkwatch::query {
namespace {

constexpr size_t kStepsAtOnce = 256;

using Questions = std::vector<SequenceQuestion>;
using Iterator = Questions::const_iterator;
// By domain and step.
using Blobs = std::map<std::pair<size_t, int64_t>, store::SequenceBlob>;

bool ComesFirst(const SequenceQuestion& a, const SequenceQuestion& b) {
  return std::make_tuple(a.layer, a.step, a.index) <
         std::make_tuple(b.layer, b.step, b.index);
}

// Questions about one layer and not too many steps, from `begin` on.
Iterator EndOfGroup(Iterator begin, Iterator end) {
  size_t steps = 1;
  Iterator at = begin + 1;
  for (; at != end && at->layer == begin->layer; ++at) {
    steps += at->step != std::prev(at)->step;
    if (steps > kStepsAtOnce) break;
  }
  return at;
}

// What the questions of a group need.
absl::StatusOr<Blobs> ReadGroup(RunSeries& run, const std::string& metric,
                                Iterator begin, Iterator end) {
  std::set<std::pair<size_t, int64_t>> needed;
  std::set<size_t> domains;
  for (Iterator q = begin; q != end; ++q) {
    for (const size_t domain : {q->high, q->low}) {
      needed.emplace(domain, q->step);
      domains.insert(domain);
    }
  }
  Blobs blobs;
  for (const size_t domain : domains) {
    RETURN_IF_ERROR(
        run.ReadSequences(metric, run.domains()[domain], begin->layer,
                          {begin->step, std::prev(end)->step},
                          [&](int64_t step, const store::SequenceBlob& blob) {
                            if (needed.count({domain, step}) > 0)
                              blobs[{domain, step}] = blob;
                          }));
  }
  return blobs;
}

// The sequences of a value; none if they are not there.
std::vector<float> ValuesOf(const Blobs& blobs, size_t domain,
                            const SequenceQuestion& question) {
  const auto found = blobs.find({domain, question.step});
  if (found == blobs.end() || question.index >= found->second.width) return {};
  const auto begin =
      found->second.values.begin() + question.index * found->second.sequences;
  return {begin, begin + found->second.sequences};
}

}  // namespace

absl::Status AskSequences(
    RunSeries& run, const v1::MetricDescriptor& metric,
    std::vector<SequenceQuestion> questions,
    const std::function<void(const SequenceQuestion&, const std::vector<float>&,
                             const std::vector<float>&)>& tell) {
  if (!metric.by_sequence()) return absl::OkStatus();
  std::sort(questions.begin(), questions.end(), ComesFirst);
  for (Iterator begin = questions.begin(); begin != questions.end();) {
    const Iterator end = EndOfGroup(begin, questions.end());
    ASSIGN_OR_RETURN(const Blobs blobs,
                     ReadGroup(run, metric.name(), begin, end));
    for (; begin != end; ++begin) {
      const std::vector<float> high = ValuesOf(blobs, begin->high, *begin);
      const std::vector<float> low = ValuesOf(blobs, begin->low, *begin);
      if (!high.empty() && !low.empty()) tell(*begin, high, low);
    }
  }
  return absl::OkStatus();
}

std::string IntervalNote(int bootstrapped, int all) {
  if (all > 0 && bootstrapped == all) {
    return "intervals hold 95 % of what 200 samples of the sequences give "
           "(bootstrap)";
  }
  const std::string by_errors =
      "1.96 standard errors to either side: the measurement has no values of "
      "single sequences";
  if (bootstrapped == 0) return absl::StrCat("intervals are ", by_errors);
  return absl::StrCat("intervals of ", bootstrapped, " of ", all,
                      " hold 95 % of what 200 samples of the sequences give "
                      "(bootstrap); the others are ",
                      by_errors, " there");
}

}  // namespace sinkwatch::query
