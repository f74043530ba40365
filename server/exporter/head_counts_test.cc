#include "server/exporter/head_counts.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::exporter {
namespace {

void Describe(const char* name, v1::MetricRole role, double threshold,
              v1::Measurement* m) {
  v1::MetricDescriptor& metric = *m->mutable_header()->add_metrics();
  metric.set_name(name);
  metric.set_role(role);
  metric.set_scope(v1::SCOPE_HEAD);
  metric.set_threshold(threshold);
}

void Add(const char* domain, const char* metric,
         const std::vector<float>& values, v1::Measurement* m) {
  v1::MetricVector& vector = *m->add_vectors();
  vector.set_domain(domain);
  vector.set_metric(metric);
  vector.set_layer(0);
  for (float value : values) {
    vector.add_values(value);
    vector.add_standard_errors(.01f);
  }
}

v1::Measurement Measured() {
  v1::Measurement m;
  Describe("dormancy", v1::METRIC_ROLE_DORMANCY, .9, &m);
  Describe("drain", v1::METRIC_ROLE_VALUE_DRAIN, .5, &m);
  return m;
}

TEST(CountHeadsTest, CountsStatesAndSwitchingHeads) {
  v1::Measurement m = Measured();
  Add("wiki", "dormancy", {.95f, .95f, .5f, .05f}, &m);
  Add("wiki", "drain", {.1f, .9f, .1f, 1}, &m);
  Add("code", "dormancy", {.05f, .95f, .5f, .05f}, &m);
  Add("code", "drain", {.1f, .1f, .1f, 1}, &m);
  const HeadCounts counts = CountHeads(m);
  using States = std::map<v1::HeadState, int64_t>;
  EXPECT_EQ(counts.states.at("wiki"), (States{{v1::HEAD_STATE_DORMANT, 1},
                                              {v1::HEAD_STATE_BROADCAST, 1},
                                              {v1::HEAD_STATE_MIXED, 1},
                                              {v1::HEAD_STATE_ACTIVE, 1}}));
  EXPECT_EQ(counts.states.at("code"), (States{{v1::HEAD_STATE_DORMANT, 1},
                                              {v1::HEAD_STATE_MIXED, 1},
                                              {v1::HEAD_STATE_ACTIVE, 2}}));
  EXPECT_EQ(counts.switching, 1);
}

TEST(CountHeadsTest, ClassesOfTheOnlyLabelAreComparedAndTakeItsDrain) {
  v1::Measurement m = Measured();
  Add("train", "dormancy", {.5f}, &m);
  Add("train", "drain", {.9f}, &m);
  Add("train/trigger", "dormancy", {0}, &m);
  Add("train/other", "dormancy", {.95f}, &m);
  const HeadCounts counts = CountHeads(m);
  EXPECT_EQ(counts.switching, 1);
  EXPECT_EQ(counts.states.at("train/other").count(v1::HEAD_STATE_BROADCAST),
            1u);
}

TEST(CountHeadsTest, OneDomainTellsNoSwitchingAndNoRoleNothing) {
  v1::Measurement m = Measured();
  Add("wiki", "dormancy", {.95f}, &m);
  EXPECT_FALSE(CountHeads(m).switching.has_value());
  EXPECT_EQ(CountHeads(m).states.size(), 1u);
  m.mutable_header()->clear_metrics();
  EXPECT_TRUE(CountHeads(m).states.empty());
}

// Nothing is known of a domain whose dormancies have no value: no 0.
TEST(CountHeadsTest, WhatHasNoValueIsNotCounted) {
  v1::Measurement m = Measured();
  Add("wiki", "dormancy", {.95f, NAN}, &m);
  Add("code", "dormancy", {NAN, NAN}, &m);
  HeadCounts counts = CountHeads(m);
  EXPECT_EQ(counts.states.count("code"), 0u);
  EXPECT_EQ(counts.states.at("wiki"),
            (std::map<v1::HeadState, int64_t>{{v1::HEAD_STATE_DORMANT, 1}}));
  EXPECT_FALSE(counts.switching.has_value());

  m.mutable_vectors(1)->set_values(0, .9f);
  counts = CountHeads(m);
  EXPECT_EQ(counts.switching, 0);
}

}  // namespace
}  // namespace sinkwatch::exporter
