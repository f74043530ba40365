#include "server/exporter/text_format.h"

#include <cmath>
#include <limits>
#include <sstream>

#include "gtest/gtest.h"
#include "prometheus/counter.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace sinkwatch::exporter {
namespace {

std::string Number(double value) {
  std::string text;
  AppendNumber(value, &text);
  return text;
}

TEST(TextFormat, NumbersAreTheShortestThatReadBack) {
  EXPECT_EQ(Number(0.1), "0.1");
  EXPECT_EQ(Number(0), "0");
  EXPECT_EQ(Number(std::nan("")), "NaN");
  EXPECT_EQ(Number(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(Number(-std::numeric_limits<double>::infinity()), "-Inf");
  std::string text;
  AppendNumber(0.1f, &text);
  EXPECT_EQ(text, "0.1");  // not 0.10000000149011612
}

TEST(TextFormat, LabelValuesCannotBreakOutOfTheirQuotes) {
  std::string labels;
  AppendLabel("domain", "a\"} 1\n\\x", &labels);
  AppendLabel("layer", "-1", &labels);
  EXPECT_EQ(labels, "domain=\"a\\\"} 1\\n\\\\x\",layer=\"-1\"");
}

TEST(TextFormat, HelpKeepsQuotesButNoNewline) {
  std::string text;
  AppendFamilyHeader("m", "a \"b\"\nc", "gauge", &text);
  EXPECT_EQ(text, "# HELP m a \"b\"\\nc\n# TYPE m gauge\n");
}

TEST(TextFormat, FamiliesReadAsPrometheusCppWritesThem) {
  prometheus::Registry registry;
  prometheus::BuildCounter()
      .Name("c_total")
      .Help("A counter.")
      .Register(registry)
      .Add({{"a", "x\"y"}, {"b", "z"}})
      .Increment(3);
  auto& histogram = prometheus::BuildHistogram()
                        .Name("h_seconds")
                        .Help("A histogram.")
                        .Register(registry)
                        .Add({}, prometheus::Histogram::BucketBoundaries{1, 2});
  histogram.Observe(1.5);
  histogram.Observe(7);
  std::ostringstream theirs;
  prometheus::TextSerializer().Serialize(theirs, registry.Collect());
  std::string ours;
  EXPECT_EQ(AppendFamilies(registry.Collect(), &ours), 6);
  EXPECT_EQ(CountSeries(registry.Collect()), 6);
  EXPECT_EQ(ours, theirs.str());
}

TEST(TextFormat, FamiliesWithoutSamplesAreLeftOut) {
  prometheus::Registry registry;
  prometheus::BuildCounter().Name("c_total").Help("None.").Register(registry);
  std::string text;
  EXPECT_EQ(AppendFamilies(registry.Collect(), &text), 0);
  EXPECT_EQ(text, "");
}

TEST(TextFormat, LabelValuesAreShortValidUtf8) {
  EXPECT_TRUE(IsLabelValue("story/trigger"));
  EXPECT_TRUE(IsLabelValue("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  for (const char* bad :
       {"", "a\nb", "\x7F", "\xC3", "\xC0\x80", "\x80", "\xED\xA0\x80",
        "\xE0\x80\x80", "\xF4\x90\x80\x80", "\xF0\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(IsLabelValue(bad)) << bad;
  }
  EXPECT_FALSE(IsLabelValue(std::string(129, 'a')));
}

}  // namespace
}  // namespace sinkwatch::exporter
