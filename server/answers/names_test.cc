#include "server/answers/names.h"

#include "gtest/gtest.h"
#include "server/answers/parse.h"

namespace sinkwatch::answers {
namespace {

TEST(NamesTest, AreTheEnumsWithoutTheirPrefix) {
  EXPECT_EQ(StateName(v1::JOB_STATE_DONE), "done");
  EXPECT_EQ(StateName(v1::JOB_STATE_SUPERSEDED), "superseded");
  EXPECT_EQ(OutcomeName(v1::OUTCOME_UNSPECIFIED), "");
  EXPECT_EQ(OutcomeName(v1::OUTCOME_CORRUPT), "corrupt");
  EXPECT_EQ(ScopeName(v1::SCOPE_KV_HEAD), "kv_head");
  EXPECT_EQ(CensoringName(v1::CENSORING_NONE), "none");
  EXPECT_EQ(HeadStateName(v1::HEAD_STATE_BROADCAST), "broadcast");
  EXPECT_EQ(HeadStateName(v1::HEAD_STATE_UNSPECIFIED), "");
  EXPECT_EQ(AllHeadStates().size(), 5u);
  EXPECT_EQ(HeadTypeName(v1::HEAD_TYPE_ALWAYS_ACTIVE), "always_active");
  EXPECT_EQ(CurveModelName(v1::CURVE_MODEL_LOG_EXPONENTIAL), "log_exponential");
  EXPECT_EQ(RiseShapeName(v1::RISE_SHAPE_SHARP), "sharp");
}

TEST(NamesTest, ComeBackAsWhatTheyStandFor) {
  for (v1::JobState state : AllStates()) {
    EXPECT_EQ(ParseState(StateName(state)).value(), state);
  }
  for (v1::Aggregation aggregation :
       {v1::AGGREGATION_EACH, v1::AGGREGATION_P10, v1::AGGREGATION_BAND}) {
    EXPECT_EQ(ParseAggregation(AggregationName(aggregation)).value(),
              aggregation);
  }
}

TEST(NamesTest, OthersAreRefusedWithTheNearest) {
  const absl::Status state = ParseState("dnoe").status();
  EXPECT_EQ(RuleOf(state), "unknown_value");
  EXPECT_NE(state.message().find("did you mean done?"), std::string::npos)
      << state;
  EXPECT_FALSE(ParseState("unspecified").ok());
  EXPECT_EQ(RuleOf(ParseAggregation("average").status()), "unknown_value");
}

}  // namespace
}  // namespace sinkwatch::answers
