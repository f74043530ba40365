#include "worker/measure/self_test.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

TEST(SelfTestTest, PassesOnTheCpu) {
  const absl::Status status = RunSelfTest(at::kCPU);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(SelfTestTest, ValueThatIsOffIsInternalByName) {
  auto measured = MeasureBuiltInModel(at::kCPU);
  ASSERT_TRUE(measured.ok());
  for (float wrong : {0.5f, std::nanf("")}) {
    for (metrics::MetricVector& vector : *measured) {
      if (vector.metric == "sink_attention" && vector.layer == 1) {
        vector.values[2] = wrong;
      }
    }
    const absl::Status status = CompareWithGolden(*measured);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_NE(std::string(status.message())
                  .find("sink_attention of layer 1, value 2"),
              std::string::npos)
        << status.ToString();
  }
}

TEST(SelfTestTest, MissingMetricIsInternal) {
  EXPECT_EQ(CompareWithGolden({}).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace sinkwatch::worker
