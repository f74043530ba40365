#ifndef SINKWATCH_SERVER_ANSWERS_NAMES_H_
#define SINKWATCH_SERVER_ANSWERS_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sinkwatch/v1/analysis_service.pb.h"
#include "sinkwatch/v1/checkpoint.pb.h"
#include "sinkwatch/v1/job.pb.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

// The words that stand for the values of enums, in answers, parameters and
// labels: the name without its prefix, in small letters.
namespace sinkwatch::answers {

// "done" for JOB_STATE_DONE.
std::string StateName(v1::JobState state);
// All states, ascending.
std::vector<v1::JobState> AllStates();
// INVALID_ARGUMENT (rule "unknown_value") for what is no state.
absl::StatusOr<v1::JobState> ParseState(const std::string& name);

// "corrupt" for OUTCOME_CORRUPT, "" where nothing went wrong.
std::string OutcomeName(v1::Outcome outcome);

// "kv_head" for SCOPE_KV_HEAD.
std::string ScopeName(v1::Scope scope);

// "each", "mean", "median", "p10", "p90", "max", "min", "band".
std::string AggregationName(v1::Aggregation aggregation);
// INVALID_ARGUMENT (rule "unknown_value") for what is none.
absl::StatusOr<v1::Aggregation> ParseAggregation(const std::string& name);

// "none", "left", "right".
std::string CensoringName(v1::Censoring censoring);

// "dormant"; "" where it is not known.
std::string HeadStateName(v1::HeadState state);
// All states that can be told, ascending.
std::vector<v1::HeadState> AllHeadStates();
// "always_active", "always_dormant", "switching"; "" for none of them.
std::string HeadTypeName(v1::HeadType type);
// "bootstrap", "standard_errors"; "" where there is no interval.
std::string IntervalMethodName(v1::IntervalMethod method);
// "linear", "log", "saturating", "log_exponential", "power"; "" for none.
std::string CurveModelName(v1::CurveModel model);
// "sharp", "gradual", "unresolved".
std::string RiseShapeName(v1::RiseShape shape);
// "pass", "fail", "absent".
std::string ReferenceVerdictName(v1::ReferenceVerdict verdict);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_NAMES_H_
