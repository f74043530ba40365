#include "worker/measure/protocol.h"

#include <set>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "worker/measure/measure.h"
#include "worker/metrics/measurement_builder.h"

namespace sinkwatch::worker {
namespace {

constexpr char kToy[] = "tests/data/toy/";

TEST(ProtocolTest, EachIsCompleteAndOfMetricsThatThereAre) {
  std::set<std::string> known, names;
  for (const metrics::Descriptor& metric : metrics::AllDescriptors()) {
    known.insert(metric.name);
  }
  for (const Protocol& protocol : Protocols()) {
    EXPECT_TRUE(names.insert(protocol.name).second) << protocol.name;
    EXPECT_FALSE(protocol.shows.empty()) << protocol.name;
    EXPECT_FALSE(protocol.citation.empty()) << protocol.name;
    EXPECT_FALSE(protocol.definitions.empty()) << protocol.name;
    EXPECT_FALSE(protocol.metrics.empty()) << protocol.name;
    for (const std::string& metric : protocol.metrics) {
      EXPECT_EQ(known.count(metric), 1u) << protocol.name << " " << metric;
    }
  }
  EXPECT_EQ(names, (std::set<std::string>{"paper", "paper-olmo", "gu", "sun",
                                          "osp", "circuits"}));
}

TEST(ProtocolTest, AnUnknownNameListsTheKnown) {
  const auto found = FindProtocol("gua");
  EXPECT_TRUE(absl::IsInvalidArgument(found.status()));
  EXPECT_TRUE(absl::StrContains(found.status().message(), "paper-olmo, gu"));
}

TEST(ProtocolTest, TheProbeMustBeAsItHasIt) {
  const Protocol gu = *FindProtocol("gu");
  EXPECT_TRUE(CheckProbe(gu, 64, "none").ok());
  const absl::Status length = CheckProbe(gu, 48, "none");
  EXPECT_TRUE(absl::IsInvalidArgument(length));
  EXPECT_TRUE(absl::StrContains(length.message(), "sequences of 64 tokens"));
  const absl::Status bos = CheckProbe(gu, 64, "stored");
  EXPECT_TRUE(absl::IsInvalidArgument(bos));
  EXPECT_TRUE(absl::StrContains(bos.message(), "bos_policy is none"));
  EXPECT_TRUE(CheckProbe(*FindProtocol("paper"), 64, "prepend").ok());
  EXPECT_TRUE(CheckProbe(*FindProtocol("circuits"), 7, "eos").ok());
}

TEST(ProtocolTest, NamedMetricsComeBesideItsOwn) {
  const Protocol gu = *FindProtocol("gu");
  EXPECT_EQ(MetricsOf(gu, {}), gu.metrics);
  const auto more = MetricsOf(gu, {"sink_rate_030", "sink_count"});
  EXPECT_EQ(more.size(), gu.metrics.size() + 1);
  EXPECT_EQ(more.back(), "sink_count");
}

absl::StatusOr<MeasureFacts> FactsOf(const std::string& protocol) {
  MeasureRequest request;
  request.checkpoint = std::string(kToy) + "adam/step800";
  request.probe = std::string(kToy) + "probe";
  request.protocol = protocol;
  MeasureFacts found;
  MeasureCallbacks callbacks;
  callbacks.on_start = [&](const MeasureFacts& facts) {
    found = facts;
    return absl::OkStatus();
  };
  const auto summary = Measure(request, callbacks);
  if (!summary.ok()) return summary.status();
  return found;
}

TEST(ProtocolTest, AMeasurementThatFollowsOneSaysSoAndHasItsMetrics) {
  const auto facts = FactsOf("circuits");
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->protocol, "circuits");
  EXPECT_EQ(facts->metrics.size(),
            FindProtocol("circuits")->metrics.size() + 1);  // and probe_loss
}

TEST(ProtocolTest, AProbeOfAnotherLengthIsRefused) {
  const auto facts = FactsOf("gu");
  EXPECT_TRUE(absl::IsInvalidArgument(facts.status())) << facts.status();
  EXPECT_TRUE(
      absl::StrContains(facts.status().message(), "sequences of 64 tokens"))
      << facts.status();
}

}  // namespace
}  // namespace sinkwatch::worker
