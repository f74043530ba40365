// What numbers mean, through the real binaries, over planted runs.
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/ctl/running_server_testing.h"
#include "server/query/planted_runs_testing.h"

namespace sinkwatch::ctl {
namespace {

using nlohmann::json;
using query::PlantedRun;
using Heads = std::set<std::pair<int, int>>;

PlantedRun LateRun() {
  PlantedRun run;
  run.name = "late";
  run.layers = 4;
  run.heads = 12;
  run.steps = query::PlantedSteps(60, 500);
  run.switching = query::SpreadHeads(24, 4, 12);
  run.nearly = query::SpreadHeads(4, 4, 12, 1);
  run.sequences = 32;
  return run;
}

PlantedRun EarlyRun() {
  PlantedRun run = LateRun();
  run.name = "early";
  run.onset = 800;
  run.jump = 0;
  run.seed = 5;
  return run;
}

class AnalysisCommandsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new RunningServer("analysis", [](store::Store& store) {
      const absl::Status late = Plant(LateRun(), store);
      return late.ok() ? Plant(EarlyRun(), store) : late;
    });
    ASSERT_GT(server_->grpc_port(), 0);
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static Said Ask(const std::string& arguments) {
    return server_->Ask(arguments);
  }
  static json AskJson(const std::string& arguments) {
    const Said said = Ask(arguments + " -o json 2>/dev/null");
    EXPECT_EQ(said.code, 0) << arguments << ": " << said.out;
    return json::parse(said.out, nullptr, /*allow_exceptions=*/false);
  }

  static RunningServer* server_;
};

RunningServer* AnalysisCommandsTest::server_ = nullptr;

Heads SwitchingIn(const json& rows, const char* column) {
  Heads heads;
  for (const json& row : rows) {
    if (row[column] == "switching" && row["head"].is_number()) {
      heads.emplace(row["layer"].get<int>(), row["head"].get<int>());
    }
  }
  return heads;
}

Heads Planted() {
  const PlantedRun run = LateRun();
  return {run.switching.begin(), run.switching.end()};
}

void ExpectHolds(const std::string& text, const std::string& part) {
  EXPECT_TRUE(absl::StrContains(text, part)) << part << " is not in\n" << text;
}

TEST_F(AnalysisCommandsTest, ASummaryIsSentencesOrFacts) {
  const Said said = Ask("summary late");
  EXPECT_EQ(said.code, 0) << said.out;
  ExpectHolds(said.out, "sink_attention >= 0.5 in wiki:");
  ExpectHolds(said.out, "(1000, 1500]");
  ExpectHolds(said.out, "in (3500, 4000]");
  ExpectHolds(said.out, "24 of 48 heads switch between wiki, code");
  EXPECT_EQ(SwitchingIn(AskJson("summary late"), "verdict"), Planted());
  EXPECT_TRUE(
      absl::StartsWith(Ask("summary late -o csv").out, "topic,run,metric"));
}

TEST_F(AnalysisCommandsTest, AComparisonSaysWhichWasEarlier) {
  const Said said = Ask("compare late early");
  EXPECT_EQ(said.code, 0) << said.out;
  ExpectHolds(said.out,
              "sink_attention in wiki emerged earlier than late: "
              "early in (512, 1000]; late in (1000, 1500]; by the estimates "
              "1.66 times as early; of 48");
  ExpectHolds(said.out, "24 heads switch in early, 24 in late; 24 in both");
  ExpectHolds(said.out, "not early");
  EXPECT_EQ(Ask("compare late").code, 2);
  EXPECT_EQ(Ask("compare late lte").code, 3);
}

TEST_F(AnalysisCommandsTest, HeadsByDifferenceShowAllThatSwitch) {
  const json rows = AskJson("heads late --domain=wiki,code --sort=difference");
  ASSERT_GE(rows.size(), 24u);
  Heads first;
  for (size_t i = 0; i < 24; ++i) {
    first.emplace(rows[i]["layer"].get<int>(), rows[i]["head"].get<int>());
  }
  EXPECT_EQ(first, Planted());
  EXPECT_EQ(SwitchingIn(rows, "type"), Planted());
  EXPECT_EQ(rows[0]["interval"], "bootstrap");
  EXPECT_EQ(rows[0]["auroc"], 1);
  ExpectHolds(Ask("heads late --domain=wiki,code --sort=difference").out,
              "auroc");
  const json some = AskJson(
      "heads late sink_attention --domain=wiki,code "
      "--limit=3 --step=1000");
  EXPECT_EQ(some.size(), 3u);
  EXPECT_EQ(some[0]["interval"], "standard_errors");
  EXPECT_TRUE(some[0]["type"].is_null());
  EXPECT_EQ(Ask("heads late").code, 2);
  EXPECT_EQ(Ask("heads late --sort=difference").code, 2);
}

TEST_F(AnalysisCommandsTest, JumpsNameTheirInterval) {
  const json jumps = AskJson("jumps late residual_norm_sink");
  ASSERT_EQ(jumps.size(), 4u);  // two layers, two domains
  for (const json& jump : jumps) {
    EXPECT_EQ(jump["after_step"], 3500);
    EXPECT_EQ(jump["by_step"], 4000);
  }
  EXPECT_EQ(AskJson("jumps early residual_norm_sink").size(), 0u);
  const Said said = Ask("jumps late residual_norm_sink");
  ExpectHolds(said.out, "changes of 6 times their noise");
  EXPECT_EQ(AskJson("jumps late residual_norm_sink --intervals").size(), 2u);
}

TEST_F(AnalysisCommandsTest, StatesAreCountedAndListed) {
  const json heads = AskJson("states late");
  EXPECT_EQ(heads.size(), 48u);
  EXPECT_EQ(SwitchingIn(heads, "type"), Planted());
  const Said said = Ask("states late --limit=2");
  EXPECT_EQ(said.code, 0) << said.out;
  ExpectHolds(said.out, "dormant from 0.9 on, active up to 0.1");
  ExpectHolds(said.out, "2 of 48 heads; --limit=0 shows all");
  ExpectHolds(Ask("states late --contrast=.95 --limit=2").out,
              "switching from a difference of 0.95 on");
  EXPECT_GT(AskJson("states late --changes").size(), 10u);
}

TEST_F(AnalysisCommandsTest, SeveralRunsStandInOneSeries) {
  const Said csv =
      Ask("series late probe_loss --domain=wiki --with=early -o csv");
  EXPECT_TRUE(
      absl::StartsWith(csv.out, "x,late probe_loss,early probe_loss\r\n"))
      << csv.out;
  const json emerged = AskJson(
      "emergence late sink_attention --domain=wiki --with=early --layer=0 "
      "--head=0");
  ASSERT_EQ(emerged.size(), 2u);
  EXPECT_EQ(emerged[0]["run"], "late");
  EXPECT_EQ(emerged[0]["by_step"], 1500);
  EXPECT_EQ(emerged[1]["by_step"], 1000);
  EXPECT_EQ(emerged[1]["half_by_step"], 1000);
}

TEST_F(AnalysisCommandsTest, AReportIsMarkdownOrHtml) {
  const Said text = Ask("report late");
  EXPECT_EQ(text.code, 0);
  EXPECT_TRUE(absl::StartsWith(text.out, "# late\n"));
  ExpectHolds(text.out, "](data:image/svg+xml;base64,");
  ExpectHolds(text.out, "in (3500, 4000]");
  ExpectHolds(text.out, "## Caveats");
  const std::string path =
      std::string(std::getenv("TEST_TMPDIR")) + "/report.html";
  EXPECT_EQ(Ask("report late --output=" + path).code, 0);
  std::ifstream file(path);
  const std::string html((std::istreambuf_iterator<char>(file)),
                         std::istreambuf_iterator<char>());
  ExpectHolds(html, "<h1>late</h1>");
  ExpectHolds(html, "<svg ");
  EXPECT_EQ(Ask("report late --output=/nowhere/at/all").code, 1);
}

TEST_F(AnalysisCommandsTest, ReferencesAreAddedCheckedAndRemoved) {
  const std::string path =
      std::string(std::getenv("TEST_TMPDIR")) + "/mine.csv";
  std::ofstream(path) << "metric,model,step,layer,value,citation\n"
                         "residual_norm_sink,toy,2000,0,24,me\n"
                         "residual_norm_sink,toy,2000,1,30,me\n"
                         "unheard_of,toy,2000,1,30,me\n";
  ExpectHolds(Ask("reference add " + path).out, "reference mine has 3 points");
  EXPECT_EQ(AskJson("reference list mine").size(), 3u);
  EXPECT_EQ(
      AskJson("reference list guo-2410.13835 --metric=sink_attention").size(),
      13u);
  const json checks = AskJson("reference check late mine --domain=wiki");
  ASSERT_EQ(checks.size(), 3u);
  EXPECT_EQ(checks[0]["verdict"], "pass");
  EXPECT_EQ(checks[1]["verdict"], "fail");
  EXPECT_EQ(checks[2]["verdict"], "absent");
  EXPECT_EQ(Ask("reference check late mine").code, 2);  // which domain?
  const Said report = Ask("report late --reference=mine --form=html");
  ExpectHolds(report.out, "Published values");
  ExpectHolds(report.out, "2 pass, 2 fail, within 5 %");  // of two domains
  EXPECT_EQ(Ask("report late --reference=theirs").code, 3);
  const json beside = AskJson(
      "series late residual_norm_sink --domain=wiki --layer=0 "
      "--reference=mine");
  EXPECT_EQ(beside[13]["x"], 2000);
  EXPECT_EQ(beside[13]["mine: toy L0"], 24);
  EXPECT_EQ(beside[13]["mine: toy L1"], 30);
  EXPECT_EQ(Ask("reference remove mine").code, 0);
  EXPECT_EQ(Ask("reference list mine").code, 3);
  EXPECT_EQ(Ask("reference add").code, 2);
  EXPECT_EQ(Ask("reference forget mine").code, 2);
  EXPECT_EQ(Ask("reference add /nowhere.csv").code, 3);
}

TEST_F(AnalysisCommandsTest, WhatIsNoTableIsRefusedWithAWord) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/odd.csv";
  const auto add = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return Ask("reference add " + path);
  };
  const Said latin = add("metric,model,value,citation\na,b,1,M\xfcller\n");
  EXPECT_EQ(latin.code, 2);
  ExpectHolds(latin.out, "odd.csv is not UTF-8");
  const Said large = add(std::string(size_t{2} << 20, 'x'));
  EXPECT_EQ(large.code, 2);
  ExpectHolds(large.out, "odd.csv is above 1 MiB");
  const Said folder = Ask("reference add /tmp");
  EXPECT_EQ(folder.code, 2);
  ExpectHolds(folder.out, "/tmp is a folder");
  ExpectHolds(add("\xef\xbb\xbfmetric,model,value,citation\r\na,b,1,c").out,
              "reference odd has 1 point\n");
  EXPECT_EQ(Ask("reference remove odd").code, 0);
  EXPECT_EQ(Ask("report late -o json").code, 2);
  EXPECT_EQ(Ask("jumps late residual_norm_sink --min-score=-1").code, 2);
}

TEST_F(AnalysisCommandsTest, FitsNameTheBestCurve) {
  for (const json& row :
       AskJson("fits early residual_norm_sink --domain=wiki --layer=1")) {
    EXPECT_EQ(row["preferred"].get<bool>(), row["model"] == "linear") << row;
  }
}

}  // namespace
}  // namespace sinkwatch::ctl
