#include "worker/commands/measurement_report.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::worker {
namespace {

Report SmallReport() {
  Report report;
  report.checkpoint = "runs/toy/step800/";
  report.facts.model.architecture = "LlamaForCausalLM";
  report.facts.model.layers = 2;
  report.facts.model.heads = 2;
  report.facts.probe_name = "stories";
  report.facts.sequence_length = 96;
  report.facts.dtype = "float32";
  report.facts.metrics = {
      {"sink_attention", "ratio", metrics::Scope::kHead,
       "Mean attention to key 0.", "", ""},
      {"probe_loss", "nats", metrics::Scope::kModel, "Mean loss.", "", ""}};
  report.summary.content_digest = "abc";
  report.values = {
      {"story", "sink_attention", 1, {0.1f, NAN}, {0.01f, 0.02f}, 40},
      {"story", "probe_loss", std::nullopt, {2.5f}, {INFINITY}, 39}};
  return report;
}

TEST(StepOfFolderTest, ReadsTheLayoutsOfTrainers) {
  const std::pair<const char*, int64_t> cases[] = {
      {"step1000", 1000},
      {"run/step1000/", 1000},
      {"step1000-tokens4B", 1000},
      {"stage1-step150-tokens1B", 150},
      {"checkpoint-1000", 1000},
      {"step_20", 20},
      {"step0", 0},
      {"/", -1},
      {"", -1},
      {"step", -1},
      {"final", -1},
      {"step12/final", -1},
      {"step99999999999999999999", -1}};
  for (const auto& [folder, step] : cases) {
    EXPECT_EQ(StepOfFolder(folder), step) << folder;
  }
}

TEST(MeasurementReportTest, JsonHoldsEveryValueAndWhereItIsFrom) {
  const auto json = nlohmann::json::parse(ReportAsJson(SmallReport()));
  EXPECT_EQ(json["spec_version"], metrics::kSpecVersion);
  EXPECT_EQ(json["checkpoint"]["run"], "toy");
  EXPECT_EQ(json["checkpoint"]["step"], 800);
  EXPECT_EQ(json["checkpoint"]["content_digest"], "abc");
  EXPECT_EQ(json["probe"]["sequence_length"], 96);
  EXPECT_EQ(json["model"]["heads"], 2);
  EXPECT_TRUE(json["implausible"].is_null());
  const auto& first = json["measurements"][0];
  EXPECT_EQ(first["layer"], 1);
  EXPECT_EQ(first["values"][0].get<float>(), 0.1f);
  EXPECT_EQ(first["count"], 40);
  EXPECT_TRUE(json["measurements"][1]["layer"].is_null());
}

TEST(MeasurementReportTest, JsonShowsWhatIsNotFiniteAsNull) {
  const auto json = nlohmann::json::parse(ReportAsJson(SmallReport()));
  EXPECT_TRUE(json["measurements"][0]["values"][1].is_null());
  EXPECT_TRUE(json["measurements"][1]["stderr"][0].is_null());
}

TEST(MeasurementReportTest, JsonSurvivesAPathThatIsNoText) {
  Report report = SmallReport();
  report.checkpoint = "runs/\xff\xfe/step1";
  EXPECT_EQ(nlohmann::json::parse(ReportAsJson(report))["checkpoint"]["step"],
            1);
}

TEST(MeasurementReportTest, CsvHasALinePerValue) {
  EXPECT_EQ(ReportAsCsv(SmallReport()),
            "domain,metric,layer,index,value,stderr,count\n"
            "story,sink_attention,1,0,0.100000001,0.00999999978,40\n"
            "story,sink_attention,1,1,nan,0.0199999996,40\n"
            "story,probe_loss,,0,2.5,inf,39\n");
}

TEST(MeasurementReportTest, TableNamesUnitsMeaningsAndDoubts) {
  Report report = SmallReport();
  report.summary.implausible = "probe loss 99";
  const std::string text = ReportAsTable(report);
  for (const char* words :
       {"sink_attention [ratio]  Mean attention to key 0.", "probe_loss [nats]",
        "IMPLAUSIBLE: probe loss 99", "runs/toy/step800"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
  }
}

}  // namespace
}  // namespace sinkwatch::worker
