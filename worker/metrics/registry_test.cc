#include "worker/metrics/registry.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "worker/metrics/headline.h"
#include "worker/metrics/measurement_builder.h"
#include "worker/metrics/model_scalars.h"
#include "worker/metrics/role.h"

namespace sinkwatch::metrics {
namespace {

TEST(RegistryTest, EveryDescriptorIsComplete) {
  for (const Descriptor& d : AllDescriptors()) {
    EXPECT_TRUE(std::regex_match(d.name, std::regex("[a-z0-9_]+"))) << d.name;
    EXPECT_FALSE(d.unit.empty()) << d.name;
    EXPECT_FALSE(d.formula.empty()) << d.name;
    EXPECT_FALSE(d.source.empty()) << d.name;
    ASSERT_FALSE(d.meaning.empty()) << d.name;
    EXPECT_EQ(d.meaning.back(), '.') << d.name << " is no sentence";
  }
}

TEST(RegistryTest, OnlyMeansHaveValuesOfSequences) {
  std::vector<std::string> by_sequence;
  for (const Metric& metric : LayerMetrics()) {
    if (!metric.descriptor.by_sequence) continue;
    by_sequence.push_back(metric.descriptor.name);
    EXPECT_EQ(metric.reduction, Reduction::kMean) << metric.descriptor.name;
  }
  EXPECT_EQ(by_sequence,
            (std::vector<std::string>{"sink_attention", "dormant_query_frac"}));
}

TEST(RegistryTest, HeadlinesAreMetrics) {
  std::set<std::string> names;
  for (const Descriptor& d : AllDescriptors()) names.insert(d.name);
  for (const std::string& headline : HeadlineMetrics()) {
    EXPECT_EQ(names.count(headline), 1u) << headline;
    EXPECT_TRUE(IsHeadline(headline));
  }
  EXPECT_FALSE(IsHeadline("sink_count"));
}

TEST(RegistryTest, NamesAreUnique) {
  std::set<std::string> names;
  for (const Descriptor& d : AllDescriptors()) {
    EXPECT_TRUE(names.insert(d.name).second) << d.name << " twice";
  }
  EXPECT_EQ(names.size(), 180u);
}

TEST(RegistryTest, WhatIsOnRequestSaysWhatItCosts) {
  int on_request = 0;
  for (const Descriptor& d : AllDescriptors()) {
    on_request += d.on_request;
    EXPECT_EQ(d.on_request, !d.cost.empty()) << d.name;
  }
  EXPECT_EQ(on_request, 138);
}

TEST(RegistryTest, EveryMetricSaysHowItIsComputed) {
  for (const Metric& metric : LayerMetrics()) {
    const std::string& name = metric.descriptor.name;
    EXPECT_NE(metric.needs, 0u) << name;
    EXPECT_FALSE(metric.value.empty()) << name;
    EXPECT_EQ(!metric.reference.empty(), metric.reduction == Reduction::kRatio)
        << name;
    EXPECT_TRUE(!metric.by_class || metric.value.rows != Rows::kWholeSequence)
        << name << " is not about rows";
    EXPECT_NE(metric.descriptor.scope, Scope::kModel) << name;
  }
}

// What a model metric is made of is a metric of heads or layers, and a mean of
// one that has a number per sequence.
TEST(RegistryTest, ModelMetricsAreMadeOfMetricsOfHeadsAndLayers) {
  for (const ModelMetric& model : ModelMetrics()) {
    const std::string& name = model.descriptor.name;
    for (const std::string& behind : MetricsBehind(name)) {
      const auto found = std::find_if(
          LayerMetrics().begin(), LayerMetrics().end(),
          [&](const Metric& m) { return m.descriptor.name == behind; });
      ASSERT_NE(found, LayerMetrics().end()) << name << " of " << behind;
      EXPECT_TRUE(found->descriptor.scope == Scope::kHead ||
                  found->descriptor.scope == Scope::kLayer)
          << behind;
      if (behind == model.mean_of) {
        EXPECT_EQ(found->value.rows, Rows::kWholeSequence) << behind;
      }
    }
  }
}

// README.md says where each comes from.
TEST(RegistryTest, ThresholdsOfEmergence) {
  std::vector<std::string> rising, falling;
  for (const Descriptor& d : AllDescriptors()) {
    if (!d.threshold) {
      EXPECT_FALSE(d.below) << d.name;
      continue;
    }
    EXPECT_TRUE(std::isfinite(*d.threshold)) << d.name;
    (d.below ? falling : rising).push_back(d.name);
  }
  EXPECT_EQ(
      rising,
      (std::vector<std::string>{
          "sink_attention", "sink_attention_gu", "dormant_query_frac",
          "sink_attention_set", "sink_logit_margin", "residual_norm_ratio",
          "massive_ratio", "sink_rate_030", "selectivity_induction",
          "selectivity_previous", "selectivity_duplicate", "selectivity_first",
          "selectivity_self", "selectivity_local"}));
  EXPECT_EQ(falling, (std::vector<std::string>{"value_norm_ratio",
                                               "value_norm_ratio_raw"}));
}

TEST(RegistryTest, EachRoleIsPlayedOnceByAMetricThatThereIs) {
  std::set<Role> roles;
  for (const RoleSpec& spec : Roles()) {
    EXPECT_TRUE(roles.insert(spec.role).second) << spec.metric;
    EXPECT_EQ(RoleOf(spec.metric), &spec) << "a second role of " << spec.metric;
    const std::vector<Descriptor> all = AllDescriptors();
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const Descriptor& d) {
      return d.name == spec.metric;
    })) << spec.metric;
  }
  EXPECT_EQ(roles.size(), 10u);
  EXPECT_EQ(RoleOf("sink_count"), nullptr);
}

// A row of the catalogue begins "| `name` | scope |".
TEST(RegistryTest, TheReadmeListsExactlyTheRegistry) {
  std::ifstream file("worker/metrics/README.md");
  const std::string text((std::istreambuf_iterator<char>(file)),
                         std::istreambuf_iterator<char>());
  ASSERT_FALSE(text.empty());
  const char* const kScopes[] = {"head", "kv_head", "layer", "model"};
  std::vector<std::string> expected, found;
  for (const Descriptor& d : AllDescriptors()) {
    expected.push_back(d.name + " " + kScopes[static_cast<int>(d.scope)]);
  }
  const std::regex row("\\| `([a-z0-9_]+)` \\| (head|kv_head|layer|model) \\|");
  for (std::sregex_iterator i(text.begin(), text.end(), row), end; i != end;
       ++i) {
    found.push_back((*i)[1].str() + " " + (*i)[2].str());
  }
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace sinkwatch::metrics
