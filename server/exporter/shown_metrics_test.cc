#include "server/exporter/shown_metrics.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::exporter {
namespace {

Descriptors Described(const std::vector<std::string>& names,
                      const std::string& headlines = "") {
  Descriptors all;
  for (const std::string& name : names) {
    v1::MetricDescriptor& metric = *all.Add();
    metric.set_name(name);
    metric.set_headline(headlines.find(name) != std::string::npos);
  }
  return all;
}

std::vector<std::string> NamesOf(const Descriptors& metrics) {
  std::vector<std::string> names;
  for (const auto& metric : metrics) names.push_back(metric.name());
  return names;
}

using Names = std::vector<std::string>;

TEST(ShownMetricsTest, AreTheHeadlinesOfTheWorkerInItsOrder) {
  EXPECT_EQ(NamesOf(ShownMetrics(Described({"a", "b", "c"}, "c a"), {})),
            (Names{"a", "c"}));
}

TEST(ShownMetricsTest, AreAllOfAWorkerThatKnowsNoHeadlines) {
  EXPECT_EQ(NamesOf(ShownMetrics(Described({"a", "b"}), {})),
            (Names{"a", "b"}));
}

TEST(ShownMetricsTest, AreThoseOfTheConfigurationInItsOrder) {
  const Descriptors all = Described({"a", "b", "c", "d"}, "a");
  EXPECT_EQ(NamesOf(ShownMetrics(all, {"c", "nobody_has_it", "b"})),
            (Names{"c", "b"}));
  EXPECT_EQ(NamesOf(ShownMetrics(all, {"*"})), (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(NamesOf(ShownMetrics(all, {"c", "*", "a"})),
            (Names{"c", "b", "d", "a"}));
}

}  // namespace
}  // namespace sinkwatch::exporter
