#include "server/service/coverage.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::service {
namespace {

class CoverageTest : public ::testing::Test {
 protected:
  CoverageTest() {
    header_.mutable_model()->set_layers(2);
    Describe("head", v1::SCOPE_HEAD);
    Describe("loss", v1::SCOPE_MODEL);
  }

  void Describe(const std::string& name, v1::Scope scope) {
    v1::MetricDescriptor& metric = *header_.add_metrics();
    metric.set_name(name);
    metric.set_scope(scope);
  }

  bool Add(const std::string& metric, const std::string& domain,
           std::vector<int> layers) {
    bool added = true;
    for (int layer : layers) {
      v1::MetricVector vector;
      vector.set_metric(metric);
      vector.set_domain(domain);
      vector.set_layer(layer);
      added &= coverage_.Add(vector);
    }
    return added;
  }
  bool AddLoss(const std::string& domain) {
    v1::MetricVector vector;
    vector.set_metric("loss");
    vector.set_domain(domain);
    return coverage_.Add(vector);
  }

  v1::AbsentValues& Absent(const std::string& metric,
                           const std::string& domain = "",
                           std::vector<int> layers = {}) {
    v1::AbsentValues& absent = *trailer_.add_absent();
    absent.set_metric(metric);
    absent.set_domain(domain);
    *absent.mutable_layers() = {layers.begin(), layers.end()};
    absent.set_reason("has no meaning there");
    return absent;
  }

  void ExpectWhole() {
    const absl::Status status = coverage_.Check(header_, trailer_);
    EXPECT_TRUE(status.ok()) << status;
  }
  void ExpectLack(const std::string& words) {
    const absl::Status status = coverage_.Check(header_, trailer_);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(status.message(), words)) << status;
  }

  v1::MeasurementHeader header_;
  v1::MeasurementTrailer trailer_;
  Coverage coverage_;
};

TEST_F(CoverageTest, AllThatWasPromisedIsWhole) {
  EXPECT_TRUE(Add("head", "a", {-1, 0, 1}));
  EXPECT_TRUE(AddLoss("a"));
  ExpectWhole();
}

TEST_F(CoverageTest, WhatCameTwiceIsTold) {
  EXPECT_TRUE(Add("head", "a", {0}));
  EXPECT_FALSE(Add("head", "a", {0}));
  EXPECT_TRUE(AddLoss("a"));
  EXPECT_FALSE(AddLoss("a"));
}

TEST_F(CoverageTest, AMetricALayerOrADomainThatLacksIsNamed) {
  Add("head", "a", {0, 1});
  ExpectLack("metric \"loss\" has no values in domain \"a\"");
  AddLoss("a");
  ExpectWhole();
  AddLoss("b");
  ExpectLack("metric \"head\" has no values of layer 0 in domain \"b\"");
  Add("head", "b", {0});
  ExpectLack("of layer 1 in domain \"b\"");
  Add("head", "b", {1});
  header_.add_domains("c");
  ExpectLack("domain \"c\"");
}

TEST_F(CoverageTest, WhatIsSaidToBeAbsentDoesNotLack) {
  AddLoss("a");
  AddLoss("b");
  Add("head", "a", {0});
  Absent("head", "b");
  ExpectLack("of layer 1 in domain \"a\"");
  Absent("head", "a", {1});
  ExpectWhole();
  Describe("other", v1::SCOPE_LAYER);
  ExpectLack("other");
  Absent("other");
  ExpectWhole();
}

TEST_F(CoverageTest, AnAbsenceIsOfAMetricAndHasAReason) {
  Add("head", "a", {0, 1});
  AddLoss("a");
  Absent("unheard");
  ExpectLack("not described");
  trailer_.clear_absent();
  Absent("head").clear_reason();
  ExpectLack("reason");
  trailer_.clear_absent();
  for (int i = 0; i < 100001; ++i) Absent("head");
  ExpectLack("too many");
}

}  // namespace
}  // namespace sinkwatch::service
