// Answers of /api/v1 that are made of values: series, matrix, emergence.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/http/site_testing.h"

namespace sinkwatch::http {
namespace {

using nlohmann::json;

TEST_F(SiteTest, SeriesIsOneWideFrame) {
  const json series = GetJson(kSeries);
  EXPECT_EQ(series["columns"], json::parse(R"(["x","L0H0","L0H1","L0H2","L0H3",
                                "L1H0","L1H1","L1H2","L1H3"])"));
  ASSERT_EQ(series["rows"].size(), 3u);
  EXPECT_EQ(series["rows"][0][0], 100);
  EXPECT_EQ(series["rows"][2][0], 1000);
  // Layer 1, head 3 at step 500; float32 on the wire.
  EXPECT_NEAR(series["rows"][1][8].get<double>(), 0.65, 1e-6);
  EXPECT_EQ(series["metric"]["unit"], "ratio");
  EXPECT_EQ(series["revision"], world_->store->revision());
}

TEST_F(SiteTest, SeriesNamesItsGaps) {
  const json gaps = GetJson(kSeries)["gaps"];
  ASSERT_EQ(gaps.size(), 2u) << gaps;
  EXPECT_EQ(gaps[0]["step"], 900) << "newest first";
  EXPECT_EQ(gaps[0]["state"], "waiting");
  EXPECT_EQ(gaps[0]["reason"], "model.safetensors is <not> there");
  EXPECT_EQ(gaps[1]["step"], 700);
  EXPECT_EQ(gaps[1]["state"], "done");
  EXPECT_EQ(gaps[1]["reason"], "implausible");
}

TEST_F(SiteTest, ImplausibleMeasurementsComeOnRequest) {
  EXPECT_EQ(
      GetJson(absl::StrCat(kSeries, "&include_implausible=1"))["rows"].size(),
      4u);
}

TEST_F(SiteTest, SeriesSelectsAndAggregates) {
  const json one = GetJson(absl::StrCat(kSeries, "&layer=1&head=3"));
  EXPECT_EQ(one["columns"], json::parse(R"(["x","L1H3"])"));
  const std::pair<const char*, double> cases[] = {
      {"mean", 1.15}, {"median", 1.15}, {"max", 1.3}, {"min", 1.0}};
  for (const auto& [agg, value] : cases) {
    const json series = GetJson(absl::StrCat(kSeries, "&layer=1&agg=", agg));
    EXPECT_EQ(series["columns"].size(), 2u);
    EXPECT_NEAR(series["rows"][2][1].get<double>(), value, 1e-6) << agg;
  }
}

TEST_F(SiteTest, XMayBeTokensOrLogarithm) {
  EXPECT_EQ(GetJson(absl::StrCat(kSeries, "&x=tokens"))["rows"][2][0], 4096000);
  EXPECT_NEAR(GetJson(absl::StrCat(kSeries, "&x=log10_step"))["rows"][2][0]
                  .get<double>(),
              3.000434, 1e-6);
}

TEST_F(SiteTest, CsvAndRecordsHoldTheCellsOfTheTable) {
  const json table = GetJson(kSeries);
  const json records = GetJson(absl::StrCat(kSeries, "&shape=records"));
  const Fetched csv = Get(absl::StrCat(kSeries, "&format=csv"));
  EXPECT_TRUE(absl::StrContains(csv.headers.at("content-type"), "text/csv"));
  const std::vector<std::string> lines =
      absl::StrSplit(csv.body, "\r\n", absl::SkipEmpty());
  ASSERT_EQ(lines.size(), table["rows"].size() + 1);
  for (size_t r = 0; r < table["rows"].size(); ++r) {
    const std::vector<std::string> cells = absl::StrSplit(lines[r + 1], ',');
    for (size_t c = 0; c < table["columns"].size(); ++c) {
      const std::string column = table["columns"][c];
      EXPECT_EQ(records[r][column], table["rows"][r][c]);
      EXPECT_EQ(json::parse(cells[c]), table["rows"][r][c]) << column;
    }
  }
}

TEST_F(SiteTest, MatrixIsLayersByHeads) {
  const json latest = GetJson("/api/v1/matrix?run=toy&metric=sink_attention");
  EXPECT_EQ(latest["step"], 1000);
  EXPECT_EQ(latest["columns"], json::parse(R"(["layer","H0","H1","H2","H3"])"));
  EXPECT_NEAR(latest["rows"][1][4].get<double>(), 1.3, 1e-6);
  const json layers =
      GetJson("/api/v1/matrix?run=toy&metric=residual_norm_sink&step=100");
  EXPECT_EQ(layers["rows"], json::parse("[[-1,1.0],[0,10.0],[1,20.0]]"));
}

TEST_F(SiteTest, EmergenceIsAnInterval) {
  const json found = GetJson(
      "/api/v1/emergence?run=toy&metric=sink_attention&threshold=0.4&layer=1&"
      "head=0&shape=records");
  ASSERT_EQ(found.size(), 1u) << found;
  EXPECT_EQ(found[0]["series"], "L1H0");
  EXPECT_EQ(found[0]["after_step"], 100);
  EXPECT_EQ(found[0]["by_step"], 500);
  EXPECT_EQ(found[0]["censoring"], "none");
}

TEST_F(SiteTest, CapsAreNamedWhenTheyBite) {
  EXPECT_EQ(RuleFor(absl::StrCat(kSeries, "&max_columns=7")), "max_columns");
  EXPECT_EQ(RuleFor(absl::StrCat(kSeries, "&max_rows=2")), "max_rows");
  EXPECT_EQ(Get(absl::StrCat(kSeries, "&max_columns=8&max_rows=3")).status,
            200);
}

TEST_F(SiteTest, BandsAreFiveColumns) {
  const json band = GetJson(absl::StrCat(kSeries, "&agg=band&across_layers=1"));
  EXPECT_EQ(band["columns"],
            json::parse(R"(["x","min","p10","median","p90","max"])"));
  EXPECT_NEAR(band["rows"][2][5].get<double>(), 1.3, 1e-6);
  EXPECT_NEAR(band["rows"][2][3].get<double>(), .65, 1e-6);
  EXPECT_EQ(GetJson(absl::StrCat(kSeries, "&agg=band&layer=1"))["columns"][5],
            "L1 max");
}

TEST_F(SiteTest, StandardErrorsComeOnRequest) {
  const json series = GetJson(absl::StrCat(kSeries, "&layer=1&stderr=1"));
  ASSERT_EQ(series["columns"].size(), 9u);
  EXPECT_EQ(series["columns"][5], "L1H0 stderr");
  EXPECT_NEAR(series["rows"][0][5].get<double>(), .01, 1e-6);
  const json matrix =
      GetJson("/api/v1/matrix?run=toy&metric=sink_attention&stderr=1");
  EXPECT_EQ(matrix["columns"][5], "H0 stderr");
  EXPECT_NEAR(matrix["rows"][0][5].get<double>(), .01, 1e-6);
}

TEST_F(SiteTest, ThinningIsSaid) {
  const Fetched whole = Get(kSeries);
  EXPECT_EQ(json::parse(whole.body)["thinned"], false);
  EXPECT_EQ(whole.headers.at("x-total-count"), "3");
  EXPECT_EQ(RuleFor(absl::StrCat(kSeries, "&max_points=3")), "out_of_range");
}

}  // namespace
}  // namespace sinkwatch::http
