#include "server/query/role_notes.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace sinkwatch::query {
namespace {

// What a metric of that role tells.
const char* WordsOf(v1::MetricRole role) {
  switch (role) {
    case v1::METRIC_ROLE_DORMANCY:
      return "how dormant a head is (states, switching heads)";
    case v1::METRIC_ROLE_SINK_MASS:
      return "how much attention is on the sink (order of onsets)";
    case v1::METRIC_ROLE_SINK_LOGIT:
      return "the sink's logit (its growth)";
    case v1::METRIC_ROLE_VALUE_DRAIN:
      return "how drained its value is (broadcast heads, order of onsets)";
    case v1::METRIC_ROLE_RESIDUAL_PEAK:
      return "the residual peak (order of onsets)";
    case v1::METRIC_ROLE_RESIDUAL_NORM:
      return "the norm of its residual (its growth)";
    case v1::METRIC_ROLE_HEAD_WRITE:
      return "what a head writes (quiet heads)";
    case v1::METRIC_ROLE_LOSS:
      return "the loss";
    default:
      return "a role";
  }
}

}  // namespace

std::vector<std::string> RoleNotes(const RunSeries& run,
                                   const std::vector<v1::MetricRole>& roles) {
  std::vector<std::string> notes, missing;
  for (v1::MetricRole role : roles) {
    const v1::MetricDescriptor* metric = run.Playing(role);
    if (metric == nullptr) {
      missing.push_back(WordsOf(role));
    } else if (metric->role() != role) {
      notes.push_back(absl::StrCat(
          "run ", run.run().name(), ": no metric says that it tells ",
          WordsOf(role), "; ", metric->name(), " is taken for it"));
    }
  }
  if (missing.empty()) return notes;
  notes.push_back(absl::StrCat("run ", run.run().name(), ": no metric tells ",
                               absl::StrJoin(missing, ", or "),
                               "; what rests on it is not told"));
  return notes;
}

const std::vector<v1::MetricRole>& RolesOfSummary() {
  static const auto& roles = *new std::vector<v1::MetricRole>{
      v1::METRIC_ROLE_DORMANCY,      v1::METRIC_ROLE_SINK_MASS,
      v1::METRIC_ROLE_SINK_LOGIT,    v1::METRIC_ROLE_VALUE_DRAIN,
      v1::METRIC_ROLE_RESIDUAL_PEAK, v1::METRIC_ROLE_RESIDUAL_NORM,
      v1::METRIC_ROLE_HEAD_WRITE,    v1::METRIC_ROLE_LOSS};
  return roles;
}

}  // namespace sinkwatch::query
