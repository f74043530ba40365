#include "worker/loop/absences.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

metrics::Descriptor Metric(const std::string& name, metrics::Scope scope) {
  metrics::Descriptor metric;
  metric.name = name;
  metric.scope = scope;
  return metric;
}

metrics::MetricVector Value(const std::string& metric,
                            const std::string& domain,
                            std::optional<int> layer) {
  metrics::MetricVector vector;
  vector.metric = metric;
  vector.domain = domain;
  vector.layer = layer;
  return vector;
}

class AbsencesTest : public ::testing::Test {
 protected:
  AbsencesTest() {
    MeasureFacts facts;
    facts.model.layers = 2;
    facts.metrics = {Metric("sink", metrics::Scope::kHead),
                     Metric("lost", metrics::Scope::kHead),
                     Metric("loss", metrics::Scope::kModel)};
    absences_.Start(facts);
  }

  // "metric domain layers reason" of each.
  std::vector<std::string> Said() const {
    std::vector<std::string> said;
    for (const v1::AbsentValues& absent : absences_.List()) {
      std::string text = absent.metric() + " " + absent.domain();
      for (int32_t layer : absent.layers()) text += " " + std::to_string(layer);
      said.push_back(text);
      EXPECT_FALSE(absent.reason().empty());
      EXPECT_LE(absent.reason().size(), 200u);
    }
    return said;
  }

  Absences absences_;
};

TEST_F(AbsencesTest, AMetricThatNeverCameIsAbsentInEveryDomain) {
  absences_.Note({Value("sink", "a", 0), Value("sink", "a", 1),
                  Value("loss", "a", std::nullopt)});
  EXPECT_EQ(Said(), std::vector<std::string>{"lost a"});
}

TEST_F(AbsencesTest, LayersThatLackAreListed) {
  absences_.Note({Value("sink", "a", -1), Value("sink", "a", 1),
                  Value("lost", "a", 0), Value("lost", "a", 1)});
  EXPECT_EQ(Said(), (std::vector<std::string>{"sink a 0", "loss a"}));
}

TEST_F(AbsencesTest, AClassOfRowsHasWhatItHas) {
  absences_.Note(
      {Value("sink", "a", 0), Value("sink", "a", 1), Value("sink", "a/x", 0),
       Value("sink", "a/x", 1), Value("lost", "a", 0), Value("lost", "a", 1),
       Value("loss", "a", std::nullopt), Value("loss", "a/x", std::nullopt)});
  EXPECT_EQ(Said(), std::vector<std::string>{"lost a/x"});
  EXPECT_EQ(absences_.List()[0].reason(), "is not given for classes of rows");
}

}  // namespace
}  // namespace sinkwatch::worker
