#include "server/exporter/now_plane.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/exporter/measurement_testing.h"
#include "server/exporter/shown_metrics.h"

namespace sinkwatch::exporter {
namespace {

std::shared_ptr<const v1::Measurement> Shared(v1::Measurement measurement) {
  return std::make_shared<const v1::Measurement>(std::move(measurement));
}

// A measurement of the input, to be changed before it is rendered.
v1::Measurement& Edit(NowInput& input, size_t index) {
  auto copy = std::make_shared<v1::Measurement>(*input.latest[index]);
  input.latest[index] = copy;
  return *copy;
}

NowInput InputOf(const std::vector<std::string>& runs) {
  NowInput input;
  input.runs = runs;
  for (const std::string& run : runs) {
    input.latest.push_back(Shared(MakeMeasurement(run, 1000, Shape())));
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
  EXPECT_NEAR(series.at(name + "quantile=\"0\"}"), 1, 1e-6);
  EXPECT_NEAR(series.at(name + "quantile=\"0.1\"}"), 1.03, 1e-6);
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
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_count_value{"), 2 * 5);
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
  Edit(input, 0).mutable_header()->mutable_checkpoint()->set_tokens(0);
  const NowPage page = RenderNow(input, {});
  EXPECT_EQ(CountWith(page, "sinkwatch_latest_tokens"), 0);
  EXPECT_EQ(CountWith(page, "stage="), 0);
}

TEST(NowPlane, StageIsALabelWhereThereIsOne) {
  NowInput input = InputOf({"toy"});
  Edit(input, 0).mutable_header()->mutable_checkpoint()->set_stage("anneal");
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
  auto* vectors = Edit(input, 0).mutable_vectors();
  vectors->Mutable(0)->set_domain("a\"} 1\nevil{x=\"\\");
  vectors->Mutable(1)->set_domain("a\"b\\c");
  const NowPage page = RenderNow(input, {});
  EXPECT_FALSE(absl::StrContains(page.text, "evil"));
  EXPECT_TRUE(absl::StrContains(page.text, "domain=\"a\\\"b\\\\c\""));
  EXPECT_EQ(page.dropped.at("invalid_label"), 4);
}

TEST(NowPlane, MetricsWithoutDescriptionOrWithBadNamesAreDropped) {
  NowInput input = InputOf({"toy"});
  Edit(input, 0).mutable_vectors(0)->set_metric("nobody_described_me");
  Edit(input, 0).mutable_header()->mutable_metrics(1)->set_name("Bad-Name");
  Edit(input, 0).mutable_vectors(1)->set_metric("Bad-Name");
  const NowPage page = RenderNow(input, {});
  EXPECT_FALSE(absl::StrContains(page.text, "nobody"));
  EXPECT_FALSE(absl::StrContains(page.text, "Bad"));
  EXPECT_GE(page.dropped.at("invalid_name"), 8);
}

TEST(NowPlane, ValuesThatAreNotFiniteAreAbsent) {
  NowInput input = InputOf({"toy"});
  auto* vector = Edit(input, 0).mutable_vectors(0);
  vector->set_values(0, std::numeric_limits<float>::quiet_NaN());
  vector->set_values(1, std::numeric_limits<float>::infinity());
  const NowPage page = RenderNow(input, {});
  EXPECT_FALSE(absl::StrContains(page.text, "NaN"));
  EXPECT_FALSE(absl::StrContains(page.text, "Inf"));
  EXPECT_EQ(page.dropped.at("not_finite"), 2);
}

TEST(NowPlane, RunsThatDisagreeAboutAMetricDoNotShareItsFamily) {
  NowInput input = InputOf({"a", "b"});
  auto* metric = Edit(input, 1).mutable_header()->mutable_metrics(0);
  metric->set_scope(v1::SCOPE_LAYER);
  const NowPage page = RenderNow(input, {});
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_attention_ratio{run=\"a\""), 10);
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_attention_ratio{run=\"b\""), 0);
  EXPECT_GT(page.dropped.at("conflict"), 0);
}

TEST(NowPlane, MetricCannotTakeTheNameOfAnotherFamily) {
  NowInput input = InputOf({"toy"});
  for (const char* name : {"latest_step", "build"}) {
    auto* metric = Edit(input, 0).mutable_header()->add_metrics();
    metric->set_name(name);
    metric->set_unit(name == std::string("build") ? "info" : "");
    metric->set_scope(v1::SCOPE_MODEL);
    auto* vector = Edit(input, 0).add_vectors();
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
    input.latest.push_back(Shared(MakeMeasurement(run, 1000, shape)));
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

// A 7B shape: 32 x 32 heads, three domains, the seven headline metrics in front
// of thirty others as a worker lists them.
v1::Measurement LargeMeasurement(const std::string& run) {
  v1::Measurement m = MakeMeasurement(run, 1000, Shape());
  m.clear_vectors();
  auto& descriptors = *m.mutable_header()->mutable_metrics();
  descriptors.Clear();
  const auto add = [&](const std::string& name, v1::Scope scope,
                       bool headline) {
    v1::MetricDescriptor& metric = *descriptors.Add();
    metric.set_name(name);
    metric.set_unit("ratio");
    metric.set_scope(scope);
    metric.set_headline(headline);
    const int layers = scope == v1::SCOPE_MODEL ? 1 : 32;
    for (const char* domain : {"wiki", "code", "web"}) {
      for (int layer = 0; layer < layers; ++layer) {
        v1::MetricVector& vector = *m.add_vectors();
        vector.set_domain(domain);
        vector.set_metric(name);
        if (scope != v1::SCOPE_MODEL) vector.set_layer(layer);
        const int width = scope == v1::SCOPE_HEAD ? 32 : 1;
        for (int h = 0; h < width; ++h) vector.add_values(.01f * (h + layer));
      }
    }
  };
  for (int i = 0; i < 30; ++i) {
    add(absl::StrCat("other", i), v1::SCOPE_HEAD, false);
  }
  add("sink_attention", v1::SCOPE_HEAD, true);
  add("dormant_query_frac", v1::SCOPE_HEAD, true);
  add("value_norm_ratio", v1::SCOPE_HEAD, true);
  add("residual_norm_ratio", v1::SCOPE_LAYER, true);
  for (const char* name :
       {"sink_rate_030", "dormant_head_frac", "probe_loss"}) {
    add(name, v1::SCOPE_MODEL, true);
  }
  return m;
}

// As the exporter keeps it.
std::shared_ptr<const v1::Measurement> Reduced(v1::Measurement m) {
  const Descriptors shown = ShownMetrics(m.header().metrics(), {});
  *m.mutable_header()->mutable_metrics() = shown;
  std::set<std::string> names;
  for (const auto& metric : shown) names.insert(metric.name());
  auto& vectors = *m.mutable_vectors();
  vectors.erase(std::remove_if(vectors.begin(), vectors.end(),
                               [&](const v1::MetricVector& vector) {
                                 return names.count(vector.metric()) == 0;
                               }),
                vectors.end());
  return Shared(std::move(m));
}

// Four such runs pushed the value drain out of the page.
TEST(NowPlane, TwentyLargeRunsKeepEveryHeadlineSeries) {
  constexpr int kRuns = 20;
  NowInput input;
  for (int r = 0; r < kRuns; ++r) {
    input.runs.push_back(absl::StrCat("run", r));
    input.latest.push_back(Reduced(LargeMeasurement(input.runs.back())));
    input.discovery[input.runs.back()].last_success = absl::FromUnixSeconds(1);
  }
  // What a run costs between commits: 25 to 35 MB when everything was kept.
  EXPECT_LT(input.latest[0]->SpaceUsedLong(), 300u * 1024);
  NowOptions options;
  options.max_series -= 1500;  // the service's own, and some to come
  const absl::Time begin = absl::Now();
  const NowPage page = RenderNow(input, options);
  std::printf("%zu bytes a run; %d series, %zu bytes, rendered in %s\n",
              input.latest[0]->SpaceUsedLong(), static_cast<int>(page.series),
              page.text.size(),
              absl::FormatDuration(absl::Now() - begin).c_str());
  EXPECT_EQ(page.dropped.count("cap"), 0u);
  for (const char* name :
       {"sink_attention", "dormant_query_frac_ratio", "value_norm_ratio"}) {
    EXPECT_EQ(CountWith(page, absl::StrCat("sinkwatch_", name)),
              kRuns * 3 * 32 * 5)
        << name;
  }
  EXPECT_EQ(CountWith(page, "sinkwatch_residual_norm_ratio{"), kRuns * 3 * 32);
  EXPECT_EQ(CountWith(page, "sinkwatch_probe_loss_ratio{"), kRuns * 3);
  EXPECT_EQ(CountWith(page, "other"), 0);
  options.format = PageFormat::kProtobuf;
  options.histograms = true;
  const NowPage with_histograms = RenderNow(input, options);
  std::printf("protobuf: %d series, %zu bytes\n",
              static_cast<int>(with_histograms.series),
              with_histograms.text.size());
  EXPECT_EQ(with_histograms.dropped.count("cap"), 0u);
  EXPECT_EQ(with_histograms.series, page.series + kRuns * 3 * 3 * 32);
}

TEST(NowPlane, TheCapCutsTheLeastImportantMetricFirst) {
  NowInput input;
  input.runs = {"toy"};
  input.latest.push_back(Reduced(LargeMeasurement("toy")));
  NowOptions options;
  options.max_series = 700;
  const NowPage page = RenderNow(input, options);
  EXPECT_EQ(CountWith(page, "sinkwatch_sink_attention"), 3 * 32 * 5);
  EXPECT_EQ(CountWith(page, "sinkwatch_probe_loss_ratio{"), 3);
  EXPECT_GT(CountWith(page, "sinkwatch_dormant_query_frac_ratio{"), 0);
  EXPECT_EQ(CountWith(page, "sinkwatch_value_norm_ratio{"), 0);
}

TEST(NowPlane, ValuesThatCannotBeReadAreCounted) {
  NowInput input = InputOf({"toy", "other"});
  input.unreadable["toy"] = 3;
  input.implausible = {"other"};
  const auto series = SeriesOf(RenderNow(input, {}).text);
  EXPECT_EQ(series.at("sinkwatch_unreadable_values{run=\"toy\"}"), 3);
  EXPECT_EQ(series.at("sinkwatch_unreadable_values{run=\"other\"}"), 0);
  EXPECT_EQ(series.at("sinkwatch_newest_implausible{run=\"toy\"}"), 0);
  EXPECT_EQ(series.at("sinkwatch_newest_implausible{run=\"other\"}"), 1);
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
