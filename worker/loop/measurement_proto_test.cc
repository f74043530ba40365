#include "worker/loop/measurement_proto.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "worker/checkpoint/content_digest.h"

namespace sinkwatch::worker {
namespace {

TEST(MeasurementProtoTest, AStandardErrorThatCannotBeToldIsNotANumber) {
  metrics::MetricVector vector;
  vector.values = {1, 2};
  vector.standard_error = {0.5f, std::numeric_limits<float>::quiet_NaN()};
  const v1::MeasurementChunk::Layer layer = LayerProto({vector});
  const v1::MetricVector& sent = layer.vectors(0);
  ASSERT_EQ(sent.standard_errors_size(), 2);
  EXPECT_EQ(sent.standard_errors(0), 0.5f);
  EXPECT_TRUE(std::isnan(sent.standard_errors(1)));
}

TEST(MeasurementProtoTest, ThresholdsOfMetricsTravel) {
  MeasureFacts facts;
  facts.metrics.resize(2);
  facts.metrics[0].threshold = 0.5;
  facts.metrics[0].below = true;
  const v1::MeasurementHeader header = HeaderProto({}, facts, "here:1");
  EXPECT_EQ(header.metrics(0).threshold(), 0.5);
  EXPECT_TRUE(header.metrics(0).below());
  EXPECT_FALSE(header.metrics(1).has_threshold());
}

// So that the server misses one of which nothing came.
TEST(MeasurementProtoTest, DomainsOfTheProbeTravel) {
  MeasureFacts facts;
  facts.domains = {"story", "code"};
  const v1::MeasurementHeader header = HeaderProto({}, facts, "here:1");
  EXPECT_EQ(std::vector<std::string>(header.domains().begin(),
                                     header.domains().end()),
            facts.domains);
}

TEST(MeasurementProtoTest, RolesOfMetricsTravelWithTheirBounds) {
  MeasureFacts facts;
  facts.metrics.resize(3);
  facts.metrics[0].name = "dormant_query_frac";
  facts.metrics[1].name = "probe_loss";
  facts.metrics[2].name = "sink_count";
  const v1::MeasurementHeader header = HeaderProto({}, facts, "here:1");
  EXPECT_EQ(header.metrics(0).role(), v1::METRIC_ROLE_DORMANCY);
  EXPECT_EQ(header.metrics(0).low(), 0.1);
  EXPECT_EQ(header.metrics(0).contrast(), 0.3);
  EXPECT_EQ(header.metrics(1).role(), v1::METRIC_ROLE_LOSS);
  EXPECT_FALSE(header.metrics(1).has_low());
  EXPECT_EQ(header.metrics(2).role(), v1::METRIC_ROLE_UNSPECIFIED);
}

TEST(MeasurementProtoTest, ValuesOfSequencesTravelAndTheirMetricSaysSo) {
  MeasureFacts facts;
  facts.metrics.resize(2);
  facts.metrics[0].by_sequence = true;
  facts.protocol = "gu";
  const v1::MeasurementHeader header = HeaderProto({}, facts, "here:1");
  EXPECT_TRUE(header.metrics(0).by_sequence());
  EXPECT_FALSE(header.metrics(1).by_sequence());
  EXPECT_EQ(header.protocol(), "gu");
  metrics::MetricVector vector;
  vector.values = {1, 2};
  vector.sequence_values = {1, 3, 2, 4};
  const v1::MeasurementChunk::Layer layer = LayerProto({vector});
  ASSERT_EQ(layer.vectors(0).sequence_values_size(), 4);
  EXPECT_EQ(layer.vectors(0).sequence_values(1), 3);
}

TEST(MeasurementProtoTest, MassiveDimensionsTravelInTheTrailer) {
  MeasureSummary summary;
  summary.massive.push_back({"d", 3, 269, 0, -736.5, 0.75});
  const v1::MeasurementTrailer trailer = TrailerProto(summary);
  ASSERT_EQ(trailer.massive_dimensions_size(), 1);
  const v1::MassiveDimension& massive = trailer.massive_dimensions(0);
  EXPECT_EQ(massive.domain(), "d");
  EXPECT_EQ(massive.layer(), 3);
  EXPECT_EQ(massive.dimension(), 269);
  EXPECT_EQ(massive.position(), 0);
  EXPECT_EQ(massive.value(), -736.5);
  EXPECT_EQ(massive.sequence_share(), 0.75);
}

MeasureSummary SummaryOf(size_t tensors, size_t name_bytes) {
  MeasureSummary summary;
  for (size_t i = 0; i < tensors; ++i) {
    summary.tensors.push_back({std::string(name_bytes, 'x'), {1, 2, 3}});
  }
  return summary;
}

TEST(MeasurementProtoTest, DigestsOfTensorsTravelInTheTrailer) {
  MeasureSummary summary = SummaryOf(2, 7);
  summary.tensors[1].name = "\xff";
  const v1::MeasurementTrailer trailer = TrailerProto(summary);
  ASSERT_EQ(trailer.tensors_size(), 2);
  EXPECT_EQ(trailer.tensors(0).name(), "xxxxxxx");
  EXPECT_EQ(trailer.tensors(0).digest(),
            std::string("\1\2\3", 3) + std::string(13, '\0'));
  EXPECT_NE(trailer.tensors(1).name(), "\xff");  // no text of a proto
}

// 4 MiB is the most that a message may have where nobody set another bound.
TEST(MeasurementProtoTest, TooManyNamesForOneMessageAreLeftOut) {
  const v1::MeasurementTrailer many = TrailerProto(SummaryOf(20000, 80));
  EXPECT_EQ(many.tensors_size(), 20000);
  EXPECT_LT(many.ByteSizeLong(), size_t{2} << 20);
  EXPECT_EQ(TrailerProto(SummaryOf(21000, 80)).tensors_size(), 0);
}

}  // namespace
}  // namespace sinkwatch::worker
