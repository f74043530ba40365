#include "server/exporter/now_plane.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "server/exporter/measurement_testing.h"

namespace sinkwatch::exporter {
namespace {

NowInput InputOf(const std::vector<std::string>& runs) {
  NowInput input;
  input.runs = runs;
  for (const std::string& run : runs) {
    input.latest.push_back(MakeMeasurement(run, 1000, Shape()));
  }
  return input;
}

// Series by their name and labels.
std::map<std::string, double> SeriesOf(const std::string& text) {
  std::map<std::string, double> series;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (line[0] == '#') continue;
    const size_t space = line.rfind(' ');
    series[std::string(line.substr(0, space))] =
        std::stod(std::string(line.substr(space + 1)));
  }
  return series;
}

int64_t CountWith(const NowPage& page, const std::string& part) {
  const auto series = SeriesOf(page.text);
  return std::count_if(series.begin(), series.end(), [&](const auto& item) {
    return absl::StrContains(item.first, part);
  });
}

TEST(NowPlane, HeadMetricIsQuantilesOverTheHeadsOfALayer) {
  const auto series = SeriesOf(RenderNow(InputOf({"toy"}), {}).text);
  const std::string name =
      "sinkwatch_sink_attention_ratio{run=\"toy\",domain=\"wiki\",layer=\"1\",";
  // Heads of layer 1 are 1, 1.1, 1.2, 1.3. Tolerance: float32 of the wire.
  EXPECT_NEAR(series.at(name + "quantile=\"0.5\"}"), 1.15, 1e-6);
  EXPECT_NEAR(series.at(name + "quantile=\"0.9\"}"), 1.27, 1e-6);
  EXPECT_NEAR(series.at(name + "quantile=\"1\"}"), 1.3, 1e-6);
}

TEST(NowPlane, LayerAndModelMetricsAreOneValue) {
  const auto series = SeriesOf(RenderNow(InputOf({"toy"}), {}).text);
  EXPECT_EQ(series.at("sinkwatch_residual_norm_sink_activation{run=\"toy\","
                      "domain=\"wiki\",layer=\"-1\"}"),
            1);
  EXPECT_EQ(series.at("sinkwatch_probe_loss_nats{run=\"toy\",domain=\"wiki\"}"),
            2.5);
}

TEST(NowPlane, NamesThatLookLikeOtherTypesGetASuffix) {
  const NowPage page = RenderNow(InputOf({"toy"}), {});
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_count_value{"), 2 * 3);
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_count{"), 0);
}

TEST(NowPlane, StepAndTokensAreValuesNeverLabels) {
  const NowPage page = RenderNow(InputOf({"toy"}), {});
  const auto series = SeriesOf(page.text);
  EXPECT_EQ(series.at("sinkwatch_latest_step{run=\"toy\"}"), 1000);
  EXPECT_EQ(series.at("sinkwatch_latest_tokens{run=\"toy\"}"), 4096000);
  EXPECT_FALSE(absl::StrContains(page.text, "step=\"")) << page.text;
  EXPECT_FALSE(absl::StrContains(page.text, "/checkpoints/"));
  EXPECT_FALSE(absl::StrContains(page.text, "f1000")) << "fingerprint";
}

TEST(NowPlane, UnknownTokensAndEmptyStageAreAbsent) {
  NowInput input = InputOf({"toy"});
  input.latest[0].mutable_header()->mutable_checkpoint()->set_tokens(0);
  const NowPage page = RenderNow(input, {});
  EXPECT_EQ(CountWith(page, "sinkwatch_latest_tokens"), 0);
  EXPECT_EQ(CountWith(page, "stage="), 0);
}

TEST(NowPlane, StageIsALabelWhereThereIsOne) {
  NowInput input = InputOf({"toy"});
  input.latest[0].mutable_header()->mutable_checkpoint()->set_stage("anneal");
  const auto series = SeriesOf(RenderNow(input, {}).text);
  EXPECT_EQ(series.count("sinkwatch_latest_step{run=\"toy\",stage=\"anneal\"}"),
            1u);
}

TEST(NowPlane, HeadsHaveFamiliesOfTheirOwn) {
  NowOptions options;
  options.facts = options.layers = false;
  options.heads = true;
  const NowPage page = RenderNow(InputOf({"toy"}), options);
  const auto series = SeriesOf(page.text);
  EXPECT_NEAR(series.at("sinkwatch_sink_attention_ratio_by_head{run=\"toy\","
                        "domain=\"wiki\",layer=\"1\",head=\"3\"}"),
              1.3, 1e-6);
  EXPECT_EQ(CountWith(page, "kv_head="), 2 * 2);
  EXPECT_EQ(page.series, 2 * 4 + 2 * 4 + 2 * 2);
}

TEST(NowPlane, RunDetailHasNoLayers) {
  NowOptions options;
  options.layers = false;
  options.runs = true;
  const NowPage page = RenderNow(InputOf({"toy"}), options);
  const auto series = SeriesOf(page.text);
  EXPECT_EQ(CountWith(page, "layer="), 0);
  EXPECT_NEAR(series.at("sinkwatch_sink_attention_ratio{run=\"toy\","
                        "domain=\"wiki\",quantile=\"1\"}"),
              1.3, 1e-6);
  EXPECT_EQ(series.at("sinkwatch_probe_loss_nats{run=\"toy\",domain=\"wiki\"}"),
            2.5);
}

TEST(NowPlane, OnlyConfiguredRunsHaveSeries) {
  NowInput input = InputOf({"toy", "other"});
  input.runs = {"toy", "No Name"};
  input.jobs = {{"other", v1::JOB_STATE_DONE, 3}};
  input.discovery["other"].last_success = absl::FromUnixSeconds(1);
  const NowPage page = RenderNow(input, {});
  EXPECT_FALSE(absl::StrContains(page.text, "other")) << page.text;
  EXPECT_EQ(page.dropped.at("invalid_name"), 1);
}

TEST(NowPlane, EveryStateOfARunIsCountedFromTheStart) {
  NowInput input;
  input.runs = {"toy"};
  input.jobs = {{"toy", v1::JOB_STATE_DEAD, 3}};
  const auto series = SeriesOf(RenderNow(input, {}).text);
  EXPECT_EQ(series.at("sinkwatch_checkpoints{run=\"toy\",state=\"dead\"}"), 3);
  EXPECT_EQ(series.at("sinkwatch_checkpoints{run=\"toy\",state=\"done\"}"), 0);
}

TEST(NowPlane, HostileLabelsCannotBreakTheText) {
  NowInput input = InputOf({"toy"});
  auto* vectors = input.latest[0].mutable_vectors();
  vectors->Mutable(0)->set_domain("a\"} 1\nevil{x=\"\\");
  vectors->Mutable(1)->set_domain("a\"b\\c");
  const NowPage page = RenderNow(input, {});
  EXPECT_FALSE(absl::StrContains(page.text, "evil"));
  EXPECT_TRUE(absl::StrContains(page.text, "domain=\"a\\\"b\\\\c\""));
  EXPECT_EQ(page.dropped.at("invalid_label"), 4);
}

TEST(NowPlane, MetricsWithoutDescriptionOrWithBadNamesAreDropped) {
  NowInput input = InputOf({"toy"});
  input.latest[0].mutable_vectors(0)->set_metric("nobody_described_me");
  input.latest[0].mutable_header()->mutable_metrics(1)->set_name("Bad-Name");
  input.latest[0].mutable_vectors(1)->set_metric("Bad-Name");
  const NowPage page = RenderNow(input, {});
  EXPECT_FALSE(absl::StrContains(page.text, "nobody"));
  EXPECT_FALSE(absl::StrContains(page.text, "Bad"));
  EXPECT_GE(page.dropped.at("invalid_name"), 8);
}

TEST(NowPlane, ValuesThatAreNotFiniteAreAbsent) {
  NowInput input = InputOf({"toy"});
  auto* vector = input.latest[0].mutable_vectors(0);
  vector->set_values(0, std::numeric_limits<float>::quiet_NaN());
  vector->set_values(1, std::numeric_limits<float>::infinity());
  const NowPage page = RenderNow(input, {});
  EXPECT_FALSE(absl::StrContains(page.text, "NaN"));
  EXPECT_FALSE(absl::StrContains(page.text, "Inf"));
  EXPECT_EQ(page.dropped.at("not_finite"), 2);
}

TEST(NowPlane, RunsThatDisagreeAboutAMetricDoNotShareItsFamily) {
  NowInput input = InputOf({"a", "b"});
  auto* metric = input.latest[1].mutable_header()->mutable_metrics(0);
  metric->set_scope(v1::SCOPE_LAYER);
  const NowPage page = RenderNow(input, {});
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_attention_ratio{run=\"a\""), 6);
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_attention_ratio{run=\"b\""), 0);
  EXPECT_GT(page.dropped.at("conflict"), 0);
}

TEST(NowPlane, MetricCannotTakeTheNameOfAnotherFamily) {
  NowInput input = InputOf({"toy"});
  for (const char* name : {"latest_step", "build"}) {
    auto* metric = input.latest[0].mutable_header()->add_metrics();
    metric->set_name(name);
    metric->set_unit(name == std::string("build") ? "info" : "");
    metric->set_scope(v1::SCOPE_MODEL);
    auto* vector = input.latest[0].add_vectors();
    vector->set_metric(name);
    vector->set_domain("wiki");
    vector->add_values(77);
  }
  NowOptions options;
  options.taken_names = {"sinkwatch_build_info_value"};
  const NowPage page = RenderNow(input, options);
  EXPECT_EQ(page.dropped.at("conflict"), 2);
  EXPECT_FALSE(absl::StrContains(page.text, " 77"));
}

TEST(NowPlane, CapHoldsAndIsSharedFairlyBetweenFiftyRuns) {
  NowInput input;
  for (int r = 0; r < 50; ++r) {
    const std::string run = absl::StrCat("run", r);
    input.runs.push_back(run);
    Shape shape;
    shape.layers = r == 0 ? 1 : 32;  // one that wants little
    input.latest.push_back(MakeMeasurement(run, 1000, shape));
  }
  NowOptions options;
  options.max_series = 5000;
  const NowPage page = RenderNow(input, options);
  NowOptions no_cap;
  no_cap.max_series = 1'000'000;
  const NowPage all = RenderNow(input, no_cap);
  EXPECT_LE(page.series, 5000);
  EXPECT_GT(page.series, 4800) << "the cap wastes room";
  EXPECT_EQ(static_cast<int64_t>(SeriesOf(page.text).size()), page.series);
  EXPECT_EQ(page.series + page.dropped.at("cap"), all.series);
  EXPECT_EQ(CountWith(page, "run=\"run0\""), CountWith(all, "run=\"run0\""));
  for (const std::string& run : input.runs) {
    EXPECT_EQ(CountWith(page, absl::StrCat("sinkwatch_latest_step{run=\"", run,
                                           "\"}")),
              1);
  }
}

TEST(NowPlane, CapOfZeroShowsNothing) {
  NowOptions options;
  options.max_series = -5;
  const NowPage page = RenderNow(InputOf({"toy"}), options);
  EXPECT_EQ(page.text, "");
  EXPECT_EQ(page.series, 0);
}

TEST(NowPlane, NothingMeasuredIsAnEmptyPage) {
  EXPECT_EQ(RenderNow(NowInput(), {}).text, "");
}

}  // namespace
}  // namespace sinkwatch::exporter
