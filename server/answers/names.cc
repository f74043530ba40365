#include "server/answers/names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "proto/base/nearest.h"
#include "server/answers/parse.h"

namespace sinkwatch::answers {
namespace {

std::string ShortName(const std::string& name, const char* prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

std::string LongName(const std::string& name, const char* prefix) {
  return absl::StrCat(prefix, absl::AsciiStrToUpper(name));
}

absl::Status UnknownValue(const std::string& name, const char* what,
                          const std::vector<std::string>& choices) {
  return BadParameter("unknown_value",
                      absl::StrCat("\"", name, "\" is no ", what,
                                   "; there are ", absl::StrJoin(choices, ", "),
                                   base::DidYouMean(name, choices)));
}

}  // namespace

std::string StateName(v1::JobState state) {
  return ShortName(v1::JobState_Name(state), "JOB_STATE_");
}

std::vector<v1::JobState> AllStates() {
  std::vector<v1::JobState> states;
  for (int s = v1::JobState_MIN + 1; s <= v1::JobState_MAX; ++s) {
    states.push_back(static_cast<v1::JobState>(s));
  }
  return states;
}

absl::StatusOr<v1::JobState> ParseState(const std::string& name) {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  if (v1::JobState_Parse(LongName(name, "JOB_STATE_"), &state) &&
      state != v1::JOB_STATE_UNSPECIFIED) {
    return state;
  }
  std::vector<std::string> names;
  for (v1::JobState s : AllStates()) names.push_back(StateName(s));
  return UnknownValue(name, "state", names);
}

std::string OutcomeName(v1::Outcome outcome) {
  if (outcome == v1::OUTCOME_UNSPECIFIED) return "";
  return ShortName(v1::Outcome_Name(outcome), "OUTCOME_");
}

std::string ScopeName(v1::Scope scope) {
  return ShortName(v1::Scope_Name(scope), "SCOPE_");
}

std::string AggregationName(v1::Aggregation aggregation) {
  return ShortName(v1::Aggregation_Name(aggregation), "AGGREGATION_");
}

absl::StatusOr<v1::Aggregation> ParseAggregation(const std::string& name) {
  v1::Aggregation aggregation = v1::AGGREGATION_UNSPECIFIED;
  if (v1::Aggregation_Parse(LongName(name, "AGGREGATION_"), &aggregation) &&
      aggregation != v1::AGGREGATION_UNSPECIFIED) {
    return aggregation;
  }
  std::vector<std::string> names;
  for (int a = v1::Aggregation_MIN + 1; a <= v1::Aggregation_MAX; ++a) {
    names.push_back(AggregationName(static_cast<v1::Aggregation>(a)));
  }
  return UnknownValue(name, "aggregation", names);
}

std::string CensoringName(v1::Censoring censoring) {
  return ShortName(v1::Censoring_Name(censoring), "CENSORING_");
}

std::string HeadStateName(v1::HeadState state) {
  if (state == v1::HEAD_STATE_UNSPECIFIED) return "";
  return ShortName(v1::HeadState_Name(state), "HEAD_STATE_");
}

std::vector<v1::HeadState> AllHeadStates() {
  std::vector<v1::HeadState> states;
  for (int s = v1::HeadState_MIN + 1; s <= v1::HeadState_MAX; ++s) {
    states.push_back(static_cast<v1::HeadState>(s));
  }
  return states;
}

std::string HeadTypeName(v1::HeadType type) {
  if (type == v1::HEAD_TYPE_UNSPECIFIED) return "";
  return ShortName(v1::HeadType_Name(type), "HEAD_TYPE_");
}

std::string IntervalMethodName(v1::IntervalMethod method) {
  if (method == v1::INTERVAL_METHOD_UNSPECIFIED) return "";
  return ShortName(v1::IntervalMethod_Name(method), "INTERVAL_METHOD_");
}

std::string CurveModelName(v1::CurveModel model) {
  if (model == v1::CURVE_MODEL_UNSPECIFIED) return "";
  return ShortName(v1::CurveModel_Name(model), "CURVE_MODEL_");
}

std::string ReferenceVerdictName(v1::ReferenceVerdict verdict) {
  return ShortName(v1::ReferenceVerdict_Name(verdict), "REFERENCE_VERDICT_");
}

std::string RiseShapeName(v1::RiseShape shape) {
  return ShortName(v1::RiseShape_Name(shape), "RISE_SHAPE_");
}

}  // namespace sinkwatch::answers
