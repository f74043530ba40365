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

constexpr int kModel = -2;  // the layer of what is of the model

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

// Of the default set, for the values that each sequence has.
const std::vector<std::string>& BySequence() {
  static const auto& names =
      *new std::vector<std::string>{"sink_attention", "dormant_query_frac"};
  return names;
}

int LayerOf(const Json& entry) {
  return entry.at("layer").is_null() ? kModel : entry.at("layer").get<int>();
}

struct Values {
  std::map<Key, double> values;
  std::map<Key, std::vector<float>> of_sequences;
};

Values Measured(const std::string& checkpoint) {
  MeasureRequest request;
  request.checkpoint = kToy + checkpoint;
  request.probe = std::string(kToy) + "probe";
  request.metrics = OnRequest();
  for (const std::string& name : BySequence()) request.metrics.push_back(name);
  request.ablation.policy = *base::ReadAblationPolicy("all", {}, 0);
  Values measured;
  MeasureCallbacks callbacks;
  callbacks.on_values = [&](const std::vector<metrics::MetricVector>& vectors) {
    for (const metrics::MetricVector& vector : vectors) {
      if (vector.metric == metrics::kProbeLoss) continue;
      EXPECT_EQ(vector.values.size(), 1u);
      const Key key{vector.domain, vector.metric,
                    vector.layer.value_or(kModel)};
      if (vector.sequence_values.empty()) {
        measured.values[key] = vector.values[0];
      } else {
        measured.of_sequences[key] = vector.sequence_values;
      }
    }
    return absl::OkStatus();
  };
  const auto summary = Measure(request, callbacks);
  EXPECT_TRUE(summary.ok()) << summary.status();
  return measured;
}

// `either_way`: share of the rows that are at a bound, to rounding.
bool Close(double found, double expected, double either_way = 0) {
  return std::fabs(found - expected) <=
         std::max(kAbsolute, kRelative * std::fabs(expected)) + either_way;
}

TEST(OnRequestTest, EveryValueOfTrainedModelsIsThatOfASecondProgramAndNoOther) {
  const Json golden = Golden();
  ASSERT_EQ(golden.size(), 5u);
  for (const auto& [checkpoint, entries] : golden.items()) {
    std::map<Key, double> measured = Measured(checkpoint).values;
    for (const Json& entry : entries) {
      if (entry.contains("sequence_values")) continue;
      const Key key{entry.at("domain"), entry.at("metric"), LayerOf(entry)};
      SCOPED_TRACE(checkpoint + " " + std::get<0>(key) + " " +
                   std::get<1>(key) + " " + std::to_string(std::get<2>(key)));
      const auto found = measured.find(key);
      if (found == measured.end()) {
        ADD_FAILURE() << "was not measured";
        continue;
      }
      const double expected = entry.at("values")[0];
      EXPECT_TRUE(
          Close(found->second, expected, entry.value("either_way", 0.0)))
          << found->second << " instead of " << expected;
      measured.erase(found);
    }
    for (const auto& [key, value] : measured) {
      ADD_FAILURE() << checkpoint << ": not expected: " << std::get<0>(key)
                    << " " << std::get<1>(key) << " " << std::get<2>(key);
    }
  }
}

TEST(OnRequestTest, EverySequenceHasTheValueOfASecondProgram) {
  const Json golden = Golden();
  for (const auto& [checkpoint, entries] : golden.items()) {
    const auto measured = Measured(checkpoint).of_sequences;
    size_t compared = 0;
    for (const Json& entry : entries) {
      if (!entry.contains("sequence_values")) continue;
      const Key key{entry.at("domain"), entry.at("metric"), LayerOf(entry)};
      SCOPED_TRACE(checkpoint + " " + std::get<0>(key) + " " +
                   std::get<1>(key));
      const Json& expected = entry.at("sequence_values");
      ASSERT_EQ(measured.count(key), 1u);
      const std::vector<float>& found = measured.at(key);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_TRUE(expected[i].is_null()
                        ? std::isnan(found[i])
                        : Close(found[i], expected[i].get<double>()))
            << "sequence " << i << ": " << found[i] << " instead of "
            << expected[i];
      }
      ++compared;
    }
    EXPECT_EQ(compared, measured.size());
    EXPECT_GT(compared, 0u);
  }
}

// Of tokens beyond the end of the toy's sequences of 48, and of output gates.
bool BeyondTheToy(const std::string& name) {
  if (name.rfind("gate_", 0) == 0) return true;
  const std::string from = "probe_loss_from_";
  if (name.rfind(from, 0) != 0) return name == "in_context_score";
  return std::stoi(name.substr(from.size())) > 47;
}

TEST(OnRequestTest, EveryMetricOnRequestIsThere) {
  const std::string text = Golden().dump();
  for (const std::string& name : OnRequest()) {
    if (BeyondTheToy(name)) continue;
    EXPECT_NE(text.find("\"" + name + "\""), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace sinkwatch::worker
