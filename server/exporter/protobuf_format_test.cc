#include "server/exporter/protobuf_format.h"

#include <string>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "gtest/gtest.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/metrics.pb.h"
#include "prometheus/registry.h"

namespace sinkwatch::exporter {
namespace {

namespace client = io::prometheus::client;

std::vector<client::MetricFamily> Read(const std::string& page) {
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t*>(page.data()),
      static_cast<int>(page.size()));
  std::vector<client::MetricFamily> families;
  uint32_t size = 0;
  while (stream.ReadVarint32(&size)) {
    const auto limit = stream.PushLimit(static_cast<int>(size));
    EXPECT_TRUE(families.emplace_back().ParseFromCodedStream(&stream));
    stream.PopLimit(limit);
  }
  return families;
}

TEST(ProtobufFormatTest, SamplesAreGauges) {
  SampleFamily family;
  family.name = "a";
  family.help = "h";
  family.type = FamilyType::kSummary;
  family.samples = {{{{"run", "r"}, {"quantile", "0.5"}}, .25, true},
                    {{{"run", "\"\n"}, {"quantile", "1"}}, 3, false}};
  std::string page;
  AppendFamily(family, &page);
  AppendFamily(family, &page);
  const auto families = Read(page);
  ASSERT_EQ(families.size(), 2u);
  EXPECT_EQ(families[1].name(), "a");
  EXPECT_EQ(families[1].help(), "h");
  EXPECT_EQ(families[1].type(), client::GAUGE);
  ASSERT_EQ(families[1].metric_size(), 2);
  EXPECT_EQ(families[1].metric(0).label(1).name(), "quantile");
  EXPECT_EQ(families[1].metric(0).gauge().value(), .25);
  EXPECT_EQ(families[1].metric(1).label(0).value(), "\"\n");
}

TEST(ProtobufFormatTest, HistogramsAreNative) {
  SampleFamily family;
  family.name = "a_heads";
  family.type = FamilyType::kNativeHistogram;
  family.histograms.emplace_back(Labels{{"layer", "3"}},
                                 MakeNativeHistogram({.5f, .5f, 0, -2}));
  std::string page;
  AppendFamily(family, &page);
  const auto families = Read(page);
  ASSERT_EQ(families.size(), 1u);
  EXPECT_EQ(families[0].type(), client::GAUGE_HISTOGRAM);
  const client::Histogram& histogram = families[0].metric(0).histogram();
  EXPECT_EQ(histogram.sample_count(), 4u);
  EXPECT_EQ(histogram.sample_sum(), -1);
  EXPECT_EQ(histogram.schema(), kHistogramSchema);
  EXPECT_EQ(histogram.zero_threshold(), kZeroThreshold);
  EXPECT_EQ(histogram.zero_count(), 1u);
  ASSERT_EQ(histogram.positive_span_size(), 1);
  EXPECT_EQ(histogram.positive_span(0).offset(), -32);
  EXPECT_EQ(histogram.positive_span(0).length(), 1u);
  ASSERT_EQ(histogram.positive_delta_size(), 1);
  EXPECT_EQ(histogram.positive_delta(0), 2);
  EXPECT_EQ(histogram.negative_span(0).offset(), 32);
  EXPECT_EQ(histogram.negative_delta(0), 1);
  EXPECT_EQ(histogram.bucket_size(), 0);
}

TEST(ProtobufFormatTest, TheServicesOwnFamiliesKeepTheirTypes) {
  prometheus::Registry registry;
  prometheus::BuildCounter()
      .Name("c")
      .Help("")
      .Register(registry)
      .Add({{"k", "v"}})
      .Increment(2);
  prometheus::BuildGauge().Name("g").Help("").Register(registry).Add({}).Set(3);
  prometheus::BuildHistogram()
      .Name("h")
      .Help("")
      .Register(registry)
      .Add({}, prometheus::Histogram::BucketBoundaries{1})
      .Observe(.5);
  std::string page;
  AppendProtobufFamilies(registry.Collect(), &page);
  const auto families = Read(page);
  ASSERT_EQ(families.size(), 3u);
  EXPECT_EQ(families[0].type(), client::COUNTER);
  EXPECT_EQ(families[0].metric(0).counter().value(), 2);
  EXPECT_EQ(families[0].metric(0).label(0).value(), "v");
  EXPECT_EQ(families[1].metric(0).gauge().value(), 3);
  EXPECT_EQ(families[2].type(), client::HISTOGRAM);
  EXPECT_EQ(families[2].metric(0).histogram().bucket_size(), 2);
  EXPECT_EQ(families[2].metric(0).histogram().bucket(0).cumulative_count(), 1u);
}

}  // namespace
}  // namespace sinkwatch::exporter
