// The metrics on request and the ablations of trained models, against a second
// program in float64 (tests/data/toy/make_on_request_golden.py).
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/measure/measure.h"
#include "worker/metrics/measurement_builder.h"

namespace sinkwatch::worker {
namespace {

using Json = nlohmann::json;
using Key = std::tuple<std::string, std::string, int>;

constexpr char kToy[] = "tests/data/toy/";
// float32 against float64 through a whole forward pass; of differences of
// losses the rounding of the losses, which are around 3.
constexpr double kRelative = 1e-4, kAbsolute = 1e-5;

Json Golden() {
  return Json::parse(
             std::ifstream(std::string(kToy) + "golden_on_request.json"))
      .at("checkpoints");
}

std::vector<std::string> OnRequest() {
  std::vector<std::string> names;
  for (const metrics::Descriptor& metric : metrics::AllDescriptors()) {
    if (metric.on_request) names.push_back(metric.name);
  }
  return names;
}

std::map<Key, double> Measured(const std::string& checkpoint) {
  MeasureRequest request;
  request.checkpoint = kToy + checkpoint;
  request.probe = std::string(kToy) + "probe";
  request.metrics = OnRequest();
  request.ablation.policy = *base::ReadAblationPolicy("all", {}, 0);
  std::map<Key, double> values;
  MeasureCallbacks callbacks;
  callbacks.on_values = [&](const std::vector<metrics::MetricVector>& vectors) {
    for (const metrics::MetricVector& vector : vectors) {
      if (!vector.layer) continue;
      EXPECT_EQ(vector.values.size(), 1u);
      values[{vector.domain, vector.metric, *vector.layer}] = vector.values[0];
    }
    return absl::OkStatus();
  };
  const auto summary = Measure(request, callbacks);
  EXPECT_TRUE(summary.ok()) << summary.status();
  return values;
}

TEST(OnRequestTest, EveryValueOfTrainedModelsIsThatOfASecondProgramAndNoOther) {
  const Json golden = Golden();
  ASSERT_EQ(golden.size(), 4u);
  for (const auto& [checkpoint, entries] : golden.items()) {
    std::map<Key, double> measured = Measured(checkpoint);
    for (const Json& entry : entries) {
      const Key key{entry.at("domain"), entry.at("metric"), entry.at("layer")};
      SCOPED_TRACE(checkpoint + " " + std::get<0>(key) + " " +
                   std::get<1>(key) + " " + std::to_string(std::get<2>(key)));
      const auto found = measured.find(key);
      if (found == measured.end()) {
        ADD_FAILURE() << "was not measured";
        continue;
      }
      const double expected = entry.at("values")[0];
      EXPECT_LE(std::fabs(found->second - expected),
                std::max(kAbsolute, kRelative * std::fabs(expected)))
          << found->second << " instead of " << expected;
      measured.erase(found);
    }
    for (const auto& [key, value] : measured) {
      ADD_FAILURE() << checkpoint << ": not expected: " << std::get<0>(key)
                    << " " << std::get<1>(key) << " " << std::get<2>(key);
    }
  }
}

TEST(OnRequestTest, EveryMetricOnRequestIsThere) {
  const std::string text = Golden().dump();
  for (const std::string& name : OnRequest()) {
    EXPECT_NE(text.find("\"" + name + "\""), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace sinkwatch::worker
