#include "worker/measure/measure.h"

#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "worker/executor/tiny_run_testing.h"

namespace sinkwatch::worker {
namespace {

MeasureRequest RequestOf(const executor::TinyRun& run) {
  MeasureRequest request;
  request.checkpoint = run.checkpoint();
  request.probe = run.probe();
  return request;
}

TEST(MeasureTest, StatesTheFactsBeforeTheFirstValue) {
  const executor::TinyRun run;
  MeasureFacts facts;
  MeasureCallbacks callbacks;
  callbacks.on_start = [&](const MeasureFacts& stated) {
    facts = stated;
    return absl::OkStatus();
  };
  callbacks.on_values = [&](const std::vector<metrics::MetricVector>&) {
    EXPECT_EQ(facts.probe_name, "tiny");
    return absl::OkStatus();
  };
  ASSERT_TRUE(Measure(RequestOf(run), callbacks).ok());
  EXPECT_EQ(facts.model.architecture, "LlamaForCausalLM");
  EXPECT_EQ(facts.sequence_length, executor::kTinyTokens);
  EXPECT_EQ(facts.bos_policy, "none");
  EXPECT_EQ(facts.dtype, "float32");
  EXPECT_EQ(facts.device, "cpu");
  EXPECT_EQ(facts.probe_digest.size(), 64u);
  EXPECT_FALSE(facts.domains.empty());
}

TEST(MeasureTest, DescribesTheMetricsAskedForAndTheLoss) {
  const executor::TinyRun run;
  MeasureRequest request = RequestOf(run);
  request.metrics = {"sink_attention"};
  std::vector<std::string> names;
  MeasureCallbacks callbacks;
  callbacks.on_start = [&](const MeasureFacts& facts) {
    for (const auto& metric : facts.metrics) names.push_back(metric.name);
    return absl::OkStatus();
  };
  ASSERT_TRUE(Measure(request, callbacks).ok());
  EXPECT_EQ(names, (std::vector<std::string>{"sink_attention", "probe_loss"}));
}

TEST(MeasureTest, ErrorOfTheStartCallbackEndsIt) {
  const executor::TinyRun run;
  MeasureCallbacks callbacks;
  callbacks.on_start = [](const MeasureFacts&) {
    return absl::AbortedError("no");
  };
  EXPECT_EQ(Measure(RequestOf(run), callbacks).status().code(),
            absl::StatusCode::kAborted);
}

TEST(MeasureTest, AProbeThatCannotBeReadIsNoFaultOfTheCheckpoint) {
  const executor::TinyRun run;
  MeasureRequest request = RequestOf(run);
  request.probe = "/no/probe/here";
  EXPECT_TRUE(IsProbeFault(Measure(request, {}).status()));
  request = RequestOf(run);
  request.checkpoint = "/no/checkpoint/here";
  EXPECT_FALSE(IsProbeFault(Measure(request, {}).status()));
}

TEST(MeasureTest, OtherProbeDigestIsInvalidArgumentWithBoth) {
  const executor::TinyRun run;
  MeasureRequest request = RequestOf(run);
  request.probe_digest = std::string(64, '0');
  const absl::Status status = Measure(request, {}).status();
  EXPECT_TRUE(IsProbeFault(status));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(status.message()).find(request.probe_digest),
            std::string::npos);
}

TEST(MeasureTest, ModelNearChanceIsPlausible) {
  executor::TinyRun run;
  model::Weights weights = run.weights();
  weights.at("lm_head.weight") = weights.at("lm_head.weight") * 0.01;
  run.WriteAgain(weights);
  const auto summary = Measure(RequestOf(run), {});
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_EQ(summary->implausible, "");
}

TEST(MeasureTest, LossFarAboveChanceIsMarkedAndStillMeasured) {
  executor::TinyRun run;
  model::Weights weights = run.weights();
  weights.at("lm_head.weight") = weights.at("lm_head.weight") * 100;
  run.WriteAgain(weights);
  bool values = false;
  MeasureCallbacks callbacks;
  callbacks.on_values = [&](std::vector<metrics::MetricVector>) {
    values = true;
    return absl::OkStatus();
  };
  const auto summary = Measure(RequestOf(run), callbacks);
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_NE(summary->implausible.find("probe loss"), std::string::npos);
  EXPECT_TRUE(values);
}

TEST(MeasureTest, OneDomainAboveChanceDoesNotDiscreditTheOthers) {
  MeasureRequest request;
  request.checkpoint = "tests/data/stories260K";
  request.probe = "tests/data/stories_probe";  // one domain is shuffled words
  request.metrics = {"sink_attention"};
  const auto summary = Measure(request, {});
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_EQ(summary->implausible, "");
}

}  // namespace
}  // namespace sinkwatch::worker
